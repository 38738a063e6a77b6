//! Probes for monitoring: is the process alive, and can it do its work?

use actix_web::{HttpResponse, dev::ServiceRequest, web::Data};

use crate::api::{error::ApiError, readiness::NotReady, state::Api};

/// Where to ask whether the process is alive.
pub(super) const LIVE: &str = "/livez";

/// Where to ask whether the service can do its work.
pub(super) const READY: &str = "/readyz";

/// The probe that a request is, if it is one.
pub(super) fn probe(request: &ServiceRequest) -> Option<&'static str> {
    let api: &Data<Api> = request.app_data()?;
    let path = request.path().strip_prefix(api.settings.base_path.as_str())?;
    [LIVE, READY].into_iter().find(|probe| *probe == path)
}

/// The process is alive.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// All that a request needs is there, so that requests can be sent here. If not, the log tells which part is missing.
pub(super) async fn ready(api: Data<Api>) -> Result<HttpResponse, ApiError> {
    match api.readiness.check(&api.store, &api.registry).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(NotReady { part, cause }) => {
            tracing::warn!(part, cause, "not ready");
            Err(ApiError::Unavailable(None))
        }
    }
}
