use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    web::{Bytes, Data},
};
use tokio::{task::yield_now, time::timeout};

use super::{connection, parts::Parts, undocumented};
use crate::{
    account::Account,
    api::{
        error::ApiError,
        operation::{Asked, Operation},
        settings::SIGNATURE_HEADER,
        state::Api,
    },
    clock,
    model::RequestExtension,
    signature::Facts,
};

/// How long a body may take to arrive, so that a slow sender does not hold a connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request whose sender is proven, and which the contract accepts.
///
/// One extractor does all of it, in the order in which the errors win: 413, 401, 415, 400. Separate extractors would
/// run side by side, and a parser would read bytes before their signature is verified.
pub(crate) struct Signed<T> {
    /// The account whose key signed the request.
    pub account: Account,
    /// What the request says.
    pub input: T,
}

/// The input of an operation, read from the parts of a request.
pub(crate) trait FromParts: Sized + 'static {
    /// Reads the input, and notes every violation.
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError>;
}

impl<T: FromParts> FromRequest for Signed<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Asked::note(request);
        let body = Bytes::from_request(request, &mut connection::body(request, payload.take()));
        let request = request.clone();
        Box::pin(async move {
            connection::check_expectations(&request)?;
            let body = timeout(BODY_TIMEOUT, body).await.map_err(|_late| ApiError::Malformed)?;
            let body = body.map_err(|error| unreadable(&error))?;
            let api = request
                .app_data::<Data<Api>>()
                .ok_or_else(|| ApiError::Internal("the request has no state".into()))?;
            let account = authenticate(api, &request, &body).await?;
            // All requests that arrived together are verified before the first one goes on to the store, so that their
            // writes share a commit. A single request continues immediately.
            yield_now().await;
            let operation = Operation::of(&request);
            let undocumented =
                operation.map(|operation| undocumented::violations(operation, &request, &body));
            let mut parts = Parts::new(api, &account, &request, &body, undocumented.unwrap_or_default());
            let input = T::from_parts(&mut parts)?;
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
        Some(PayloadError::Overflow) => ApiError::ContentTooLarge,
        _ => ApiError::Malformed,
    }
}

async fn authenticate(api: &Api, request: &HttpRequest, body: &[u8]) -> Result<Account, ApiError> {
    let mut signatures = request.headers().get_all(SIGNATURE_HEADER);
    let token = match (signatures.next(), signatures.next()) {
        (None, _) if api.settings.sandbox => return Ok(Account::sandbox()),
        (None, _) => return Err(ApiError::signature_missing()),
        (Some(_), Some(_)) => return Err(ApiError::signature_repeated()),
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
    Ok(api.registry.verify(token, &facts).await?)
}
