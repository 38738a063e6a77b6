//! The errors of the API: for each one its status, its type and its text.
//!
//! The text is public. The cause is for the log alone: no response contains it.

use std::error::Error as StdError;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use uuid::Uuid;

use super::{
    budget::NoRoom,
    settings::{BODY_BYTES_MAX, SIGNATURE_HEADER},
};
use crate::{
    model::{self, ErrorType, Reason, RequestExtension, RequestExtensionItem, VIOLATIONS_MAX},
    record::DamagedRecord,
    registry::RegistryError,
    signature::{Refusal, Violation},
    store::StoreError,
};

/// After how many seconds a request may be sent again if the service was unavailable.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Why a request fails. If several variants apply, the response is the first of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("no such path")]
    RouteNotFound,
    #[error("the method is not allowed: this path has {allow}")]
    MethodNotAllowed { allow: String },
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    ContentTooLarge,
    #[error("the request is malformed or incomplete, or it arrived too slowly")]
    Malformed,
    #[error("this port speaks TLS: send the request to https://")]
    TlsRequired,
    #[error(transparent)]
    Unauthorized(Refusal),
    #[error("the key may only read: sign with a key of the scope write")]
    Forbidden,
    #[error("send the body as application/json in UTF-8, without a content coding")]
    UnsupportedMediaType,
    #[error("{}", invalid_text(*total))]
    Invalid {
        /// The number of violations, or more than [`VIOLATIONS_MAX`].
        total: usize,
        /// The first [`VIOLATIONS_MAX`] violations.
        violations: Box<RequestExtension>,
    },
    #[error("the account has no customer with this CustomerID; PUT creates one")]
    CustomerNotFound,
    /// The events after a page token are not all kept any more, or are others than those that were read.
    #[error(
        "the PageToken cannot go on: begin anew with From=Newest, list all customers, and follow from there"
    )]
    Gone,
    #[error("the customer does not match If-Match or If-None-Match; nothing was changed")]
    PreconditionFailed,
    #[error("the service is temporarily unavailable; send the request again later")]
    Unavailable(#[source] Option<Cause>),
    #[error("the service failed")]
    Internal(#[source] Cause),
}

/// What is logged and never sent.
type Cause = Box<dyn StdError + Send + Sync>;

fn invalid_text(total: usize) -> String {
    match total {
        1 => "1 field is invalid".to_owned(),
        ..=VIOLATIONS_MAX => format!("{total} fields are invalid"),
        _ => format!("more than {VIOLATIONS_MAX} fields are invalid; the first {VIOLATIONS_MAX} are listed"),
    }
}

impl ApiError {
    /// A request with these violations.
    pub(crate) fn invalid(mut violations: RequestExtension) -> Self {
        let RequestExtension { path, query, header, body } = &mut violations;
        let (mut total, mut left) = (0, VIOLATIONS_MAX);
        for part in [path, query, header, body] {
            total += part.len();
            part.truncate(left);
            left -= part.len();
        }
        Self::Invalid { total, violations: Box::new(violations) }
    }

    pub(super) fn signature_missing() -> Self {
        Self::Unauthorized(Refusal::of_token(format!(
            "{SIGNATURE_HEADER} is missing: sign the request, for example with `customers-api sign`"
        )))
    }

    pub(super) fn signature_repeated() -> Self {
        Self::Unauthorized(Refusal::of_token(format!(
            "{SIGNATURE_HEADER} is given more than once: send it once"
        )))
    }

    /// The only place where a status is chosen.
    const fn status_and_type(&self) -> (StatusCode, ErrorType) {
        match self {
            Self::RouteNotFound | Self::CustomerNotFound => {
                (StatusCode::NOT_FOUND, ErrorType::ResourceNotFound)
            }
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, ErrorType::InvalidMessage),
            Self::ContentTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ErrorType::InvalidMessage),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, ErrorType::Unauthorized),
            Self::Forbidden => (StatusCode::FORBIDDEN, ErrorType::Forbidden),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorType::InvalidMessage),
            Self::Malformed | Self::TlsRequired | Self::Invalid { .. } => {
                (StatusCode::BAD_REQUEST, ErrorType::InvalidMessage)
            }
            Self::Gone => (StatusCode::GONE, ErrorType::Gone),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, ErrorType::PreconditionFailed),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorType::Unavailable),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorType::Unexpected),
        }
    }

    pub(super) fn body(&self, request_id: Uuid, action: Option<&'static str>) -> model::Error {
        let (_, error_type) = self.status_and_type();
        let (detail, request_extension) = (self.to_string(), self.request_extension());
        model::Error { error_type, instance: request_id, action, detail, request_extension }
    }

    fn request_extension(&self) -> Option<RequestExtension> {
        match self {
            Self::Invalid { violations, .. } => Some(violations.as_ref().clone()),
            Self::Unauthorized(refusal) => {
                let header = refusal.violations().iter().map(item).collect();
                Some(RequestExtension { header, ..RequestExtension::default() })
            }
            _ => None,
        }
    }
}

fn item(violation: &Violation) -> RequestExtensionItem {
    let Violation { claim, description } = violation;
    let separator = if claim.is_empty() { "" } else { "." };
    let field = format!("{SIGNATURE_HEADER}{separator}{claim}");
    RequestExtensionItem { field, reason: Reason::Signature, description: description.clone() }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status_and_type().0
    }

    /// The status and the headers that belong to it. The middleware adds the rest, because it knows the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::MethodNotAllowed { allow } => response.insert_header((ALLOW, allow.as_str())),
            Self::Unauthorized(_) => response.insert_header((WWW_AUTHENTICATE, SIGNATURE_HEADER)),
            Self::Unavailable(_) => response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => &mut response,
        };
        response.finish()
    }
}

impl From<NoRoom> for ApiError {
    fn from(error: NoRoom) -> Self {
        tracing::warn!("{error}");
        Self::Unavailable(None)
    }
}

impl From<DamagedRecord> for ApiError {
    fn from(error: DamagedRecord) -> Self {
        match error {
            DamagedRecord::Unnoted => Self::Unavailable(Some(error.into())),
            damaged => Self::Internal(damaged.into()),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Refused(refusal) => Self::Unauthorized(refusal),
            RegistryError::Unavailable => Self::Unavailable(Some(error.into())),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Unavailable(None),
            StoreError::Unavailable(_) => Self::Unavailable(Some(error.into())),
            StoreError::Failed(_) => Self::Internal(error.into()),
        }
    }
}
