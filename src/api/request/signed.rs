use std::future::Future;

use actix_web::{
    HttpMessage as _, HttpRequest, Responder, dev,
    web::{self, Data, Payload},
};
use utoipa::{
    IntoResponses, Path,
    openapi::{ObjectBuilder, Required, ResponsesBuilder, Type, path::ParameterIn},
};

use super::{body, connection, input::Input, media_type, reading::Reading};
use crate::{
    account::Account,
    api::{
        caller::Caller,
        document::errors_of_signed_requests,
        error::ApiError,
        operation::{Inputs, Operation, only_reads},
        settings::SIGNATURE_HEADER,
        state::Api,
    },
    clock,
    model::RequestExtension,
    registry::RegistryError,
    scope::Scope,
    signature::{Facts, RefusalKind, Verified},
    signature_id::Proof,
    telemetry::SignatureResult,
};

/// A request whose sender is proven, and which the contract accepts. Only an [`operation`] makes one, so what the operation
/// documents is always known.
///
/// One function does all of it, in the order in which the errors win. Separate extractors would run side by side, and a
/// parser would read bytes before their signature is verified.
pub(crate) struct Signed<T> {
    /// The account whose key signed the request.
    pub account: Account,
    /// The signature and its key; `None` in the sandbox if the request is unsigned.
    pub proof: Option<Proof>,
    pub input: T,
}

/// An operation whose requests are signed. What it takes and answers is what its handler takes and answers, besides what
/// goes with a signature. The annotation stands on the type that the handler takes, so that the two belong together. `tag`
/// is the operation's in the document.
pub(crate) fn operation<T, R, F>(tag: &str, handler: fn(Signed<T>, Data<Api>) -> F) -> Operation
where
    T: Input + Path,
    R: Responder + IntoResponses + 'static,
    F: Future<Output = Result<R, ApiError>> + 'static,
{
    let mut inputs = Inputs::default();
    T::document(&mut inputs);
    let signature = ObjectBuilder::new().schema_type(Type::String);
    inputs.add(ParameterIn::Header, SIGNATURE_HEADER, Required::False, signature);
    let responses = ResponsesBuilder::new().responses_from_into_responses::<R>();
    let responses = responses
        .responses_from_iter(errors_of_signed_requests(inputs.body.is_some(), only_reads(&T::methods())));
    Operation::new::<T>(tag, inputs, responses.build(), move |operation| {
        web::to(move |request: HttpRequest, payload: Payload, api: Data<Api>| {
            operation.note(&request);
            async move {
                let signed = Signed::read(operation, request, payload.into_inner(), &api).await?;
                handler(signed, api).await
            }
        })
    })
}

impl<T: Input> Signed<T> {
    async fn read(
        operation: &'static Operation,
        request: HttpRequest,
        payload: dev::Payload,
        api: &Api,
    ) -> Result<Self, ApiError> {
        connection::check_expectations(&request)?;
        let payload = connection::body(&request, payload);
        let body = body::read(&request, payload, &api.bodies).await?;
        let (account, scope, proof) = authenticate(api, operation, &request, &body).await?;
        Caller::of(&request).note(&account);
        // Its answer will count as that of the account.
        request.extensions_mut().insert(account.clone());
        if scope == Scope::Read && !operation.only_reads() {
            return Err(ApiError::Forbidden);
        }
        // All requests that arrived together are verified before the first one goes on.
        api.store.await_others().await;
        if operation.has_body() && !body.is_empty() {
            media_type::check(&request)?;
        }
        let mut reading = Reading::new(api, &account, operation, &request, &body);
        let input = T::read(&mut reading);
        let (refused_body, mut violations) = (reading.refused_body, reading.violations);
        if let Some(schema) = refused_body {
            violations.body = api.explainer.explain(&account, schema, &body).await?;
        }
        match input {
            Some(input) if violations == RequestExtension::default() => Ok(Self { account, proof, input }),
            _ => Err(ApiError::invalid(violations)),
        }
    }
}

async fn authenticate(
    api: &Api,
    operation: &Operation,
    request: &HttpRequest,
    body: &[u8],
) -> Result<(Account, Scope, Option<Proof>), ApiError> {
    let mut signatures = request.headers().get_all(SIGNATURE_HEADER);
    let token = match (signatures.next(), signatures.next()) {
        (None, _) if api.settings.sandbox => return Ok((Account::sandbox(), Scope::Write, None)),
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
        base_path: api.settings.base_path.as_str(),
        template: operation.path(),
        query: request.uri().query().unwrap_or_default(),
        body,
    };
    let verified = api.registry.verify(token, &facts).await;
    if let Some(result) = result_of(&verified) {
        api.metrics.count_signature(result);
    }
    let Verified { account, key_id, scope, signature } = verified?;
    Ok((account, scope, Some(Proof { signature, key_id })))
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
        RefusalKind::ExpiredKey => SignatureResult::ExpiredKey,
        RefusalKind::BadSignature => SignatureResult::BadSignature,
        RefusalKind::BadClaims => SignatureResult::BadClaims,
    })
}
