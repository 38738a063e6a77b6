//! For monitoring: is the process alive, can it do its work, and what has it done?

use actix_web::{HttpResponse, dev::ServiceRequest, http::header::CONTENT_TYPE, web::Data};

use crate::{
    api::{error::ApiError, readiness::NotReady, state::Api},
    telemetry::METRICS_MEDIA_TYPE,
};

pub(super) const LIVE: &str = "/livez";

/// Where to ask whether the service can do its work.
pub const READY: &str = "/readyz";

pub(super) const METRICS: &str = "/metrics";

/// The probe that a request is, if it is one.
pub(super) fn probe(request: &ServiceRequest) -> Option<&'static str> {
    let api: &Data<Api> = request.app_data()?;
    let path = request.path().strip_prefix(api.settings.base_path.as_str())?;
    [LIVE, READY].into_iter().find(|probe| *probe == path)
}

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

pub(super) async fn metrics(api: Data<Api>) -> Result<HttpResponse, ApiError> {
    let text = api.metrics_text().await.map_err(|error| ApiError::Internal(error.into()))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, METRICS_MEDIA_TYPE)).body(text))
}
