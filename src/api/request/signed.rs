use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, Handler, HttpMessage as _, HttpRequest, Responder, dev::Payload, web::Data};
use utoipa::Path;

use super::{body, connection, parts::Parts, undocumented};
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
    registry::RegistryError,
    signature::{Facts, RefusalKind, Verified},
    signature_id::SignatureId,
    telemetry::SignatureResult,
};

/// A request whose sender is proven, and which the contract accepts.
///
/// One extractor does all of it, in the order in which the errors win: 413, 401, 415, 400. Separate extractors would
/// run side by side, and a parser would read bytes before their signature is verified.
pub(crate) struct Signed<T> {
    /// The account whose key signed the request.
    pub account: Account,
    /// Tells the signature from all others; `None` in the sandbox if the request is unsigned.
    pub signature: Option<SignatureId>,
    /// What the request says.
    pub input: T,
}

/// The input of an operation, read from the parts of a request.
pub(crate) trait FromParts: Sized + 'static {
    /// Reads the input, and notes every violation.
    fn from_parts(parts: &mut Parts<'_>) -> Result<Option<Self>, ApiError>;
}

/// An operation whose requests are signed. The annotation stands on the type that the handler takes, so that the two belong
/// together. `tag` is the operation's in the document.
pub(crate) fn operation<T, H>(tag: &'static str, handler: H) -> Operation
where
    T: FromParts + Path,
    H: Handler<(Signed<T>, Data<Api>), Output: Responder + 'static> + Send + Sync,
{
    Operation::new::<T, _, _>(tag, handler)
}

impl<T: FromParts> FromRequest for Signed<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Asked::note(request);
        let (request, payload) = (request.clone(), connection::body(request, payload.take()));
        Box::pin(async move {
            connection::check_expectations(&request)?;
            let api = request
                .app_data::<Data<Api>>()
                .ok_or_else(|| ApiError::Internal("the request has no state".into()))?;
            let body = body::read(&request, payload, &api.bodies).await?;
            let (account, signature) = authenticate(api, &request, &body).await?;
            // Its answer will count as that of the account.
            request.extensions_mut().insert(account.clone());
            // All requests that arrived together are verified before the first one goes on.
            api.store.await_others().await;
            let operation = Operation::of(&request);
            let undocumented =
                operation.map(|operation| undocumented::violations(operation, &request, &body));
            let mut parts = Parts::new(api, &account, &request, &body, undocumented.unwrap_or_default());
            let input = T::from_parts(&mut parts)?;
            let (refused_body, mut violations) = (parts.refused_body, parts.violations);
            if let Some(schema) = refused_body {
                violations.body = api.explainer.explain(&account, schema, &body).await?;
            }
            match input {
                Some(input) if violations == RequestExtension::default() => {
                    Ok(Self { account, signature, input })
                }
                _ => Err(ApiError::invalid(violations)),
            }
        })
    }
}

async fn authenticate(
    api: &Api,
    request: &HttpRequest,
    body: &[u8],
) -> Result<(Account, Option<SignatureId>), ApiError> {
    let mut signatures = request.headers().get_all(SIGNATURE_HEADER);
    let token = match (signatures.next(), signatures.next()) {
        (None, _) if api.settings.sandbox => return Ok((Account::sandbox(), None)),
        (None, _) => {
            api.metrics.count_signature(SignatureResult::Missing);
            return Err(ApiError::signature_missing());
        }
        (Some(_), Some(_)) => {
            api.metrics.count_signature(SignatureResult::Malformed);
            return Err(ApiError::signature_repeated());
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
    let verified = api.registry.verify(token, &facts).await;
    if let Some(result) = result_of(&verified) {
        api.metrics.count_signature(result);
    }
    let Verified { account, signature } = verified?;
    Ok((account, Some(signature)))
}

/// What became of a signature; `None` if nothing was decided.
fn result_of(verified: &Result<Verified, RegistryError>) -> Option<SignatureResult> {
    let refusal = match verified {
        Ok(_) => return Some(SignatureResult::Accepted),
        Err(RegistryError::Unavailable) => return None,
        Err(RegistryError::Refused(refusal)) => refusal,
    };
    Some(match refusal.kind() {
        RefusalKind::Malformed => SignatureResult::Malformed,
        RefusalKind::UnknownKey | RefusalKind::AmbiguousKey => SignatureResult::UnknownKey,
        RefusalKind::RevokedKey => SignatureResult::Revoked,
        RefusalKind::BadSignature => SignatureResult::BadSignature,
        RefusalKind::BadClaims => SignatureResult::BadClaims,
    })
}
