//! From bytes to a request that may be carried out: first who sent it, then what it says.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
    web::{Bytes, Data},
};
use tokio::{task::yield_now, time::timeout};

use super::{Api, BODY_BYTES_MAX, SIGNATURE_HEADER, error::ApiError, operation::Operation, parts::Parts};
use crate::{
    account::Account,
    clock,
    model::RequestExtension,
    signature::{Facts, Refusal},
};

/// How long a body may take to arrive, so that nobody holds a connection by sending slowly.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request whose sender is proven, and which the contract accepts.
///
/// One extractor does all of it, in the order in which the errors win: 413, 401, 415, 400. Separate ones would run
/// side by side, and a parser would meet bytes that nobody has signed.
pub(super) struct Signed<I> {
    /// Whose key signed the request.
    pub account: Account,
    /// What the request says.
    pub input: I,
}

/// What an operation is asked with.
pub(super) trait Input: Sized + 'static {
    /// The operation.
    const OPERATION: Operation;

    /// Reads the parts of the request, and notes everything in them that is wrong.
    fn read(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError>;
}

impl<I: Input> FromRequest for Signed<I> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        request.extensions_mut().insert(I::OPERATION);
        let (request, body) = (request.clone(), Bytes::from_request(request, payload));
        Box::pin(async move {
            let body = timeout(BODY_TIMEOUT, body).await.map_err(|_late| ApiError::Malformed)?;
            let body = body.map_err(|error| unreadable(&error))?;
            let api = request
                .app_data::<Data<Api>>()
                .ok_or_else(|| ApiError::Internal("there is no service".into()))?;
            let account = authenticate(api, &request, &body).await?;
            // Requests that came together are all verified before the first goes on to the store, so that it is woken
            // once for them, and their writes share a commit. A lone request waits for nobody.
            yield_now().await;
            let mut parts = Parts::new(api, &account, I::OPERATION, &request, &body);
            let input = I::read(&mut parts)?;
            let violations = parts.violations;
            match input {
                Some(input) if violations == RequestExtension::default() => Ok(Self { account, input }),
                _ => Err(ApiError::invalid(violations)),
            }
        })
    }
}

fn unreadable(error: &actix_web::Error) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => ApiError::ContentTooLarge(BODY_BYTES_MAX),
        _ => ApiError::Malformed,
    }
}

async fn authenticate(api: &Api, request: &HttpRequest, body: &[u8]) -> Result<Account, ApiError> {
    let refuse = |description: String| Err(ApiError::Unauthorized(Refusal::of_token(description)));
    let mut signatures = request.headers().get_all(SIGNATURE_HEADER);
    let token = match (signatures.next(), signatures.next()) {
        (None, _) if api.settings.sandbox => return Ok(Account::sandbox()),
        (None, _) => {
            return refuse(format!(
                "{SIGNATURE_HEADER} is missing: send a JWT over this request, as `sign` makes it"
            ));
        }
        (Some(_), Some(_)) => {
            return refuse(format!("{SIGNATURE_HEADER} is given more than once: send it once"));
        }
        (Some(token), None) => str::from_utf8(token.as_bytes()).unwrap_or_default(),
    };
    let facts = Facts {
        audience: &api.settings.audience,
        now: clock::now().timestamp(),
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        body,
    };
    api.keys.verify(token, &facts).await
}

/// Refuses a body that is no `application/json` in plain (RFC 9110, 15.5.16).
pub(super) fn check_media_type(request: &HttpRequest) -> Result<(), ApiError> {
    let is_json =
        |value: &str| value.parse::<mime::Mime>().is_ok_and(|mime| mime.essence_str() == "application/json");
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_encoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if media_type.is_some_and(is_json) && !is_encoded { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}
