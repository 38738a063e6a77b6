//! The errors in `components/responses`, each as a type that annotations name. Their statuses and headers are those that the
//! service sends.

use actix_web::ResponseError as _;
use utoipa::{
    IntoResponses,
    openapi::{Ref, RefOr, Response},
};

use super::responses::{JSON, Responses, content, response};
use crate::api::error::ApiError;

/// The headers that some of them have.
const HEADERS: [&str; 2] = ["Retry-After", "WWW-Authenticate"];

macro_rules! errors {
    ($($name:ident is $error:expr;)+) => {
        $(
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> Responses {
                    let reference = Ref::from_response_name(stringify!($name));
                    [($error.status_code().as_str().to_owned(), reference.into())].into()
                }
            }
        )+

        /// `components/responses`.
        pub(super) fn components() -> Responses {
            [$((stringify!($name).to_owned(), component(&$error).into())),+].into()
        }
    };
}

errors! {
    BadRequest is ApiError::Malformed;
    Unauthorized is ApiError::signature_missing();
    Forbidden is ApiError::Forbidden;
    NotFound is ApiError::CustomerNotFound;
    Gone is ApiError::Gone;
    PreconditionFailed is ApiError::PreconditionFailed;
    ContentTooLarge is ApiError::ContentTooLarge;
    UnsupportedMediaType is ApiError::UnsupportedMediaType;
    InternalServerError is ApiError::Internal("a cause".into());
    ServiceUnavailable is ApiError::Unavailable(None);
}

/// The errors that every signed request may get. With a body, its media type may be wrong, too; if the request does not only
/// read, its key may be one that may only read.
pub(crate) fn errors_of_signed_requests(
    has_body: bool,
    only_reads: bool,
) -> impl Iterator<Item = (String, RefOr<Response>)> {
    let errors = [
        BadRequest::responses(),
        Unauthorized::responses(),
        ContentTooLarge::responses(),
        InternalServerError::responses(),
        ServiceUnavailable::responses(),
    ];
    let special = [has_body.then(UnsupportedMediaType::responses), (!only_reads).then(Forbidden::responses)];
    errors.into_iter().chain(special.into_iter().flatten()).flatten()
}

fn component(error: &ApiError) -> Response {
    let sent = error.error_response();
    let headers = HEADERS.into_iter().filter(|name| sent.headers().contains_key(*name));
    response(headers).content(JSON, content("Error")).build()
}
