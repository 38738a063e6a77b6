//! Probes for monitoring: is the process alive, and can it do its work?

use actix_web::{HttpResponse, web::Data};

use crate::api::{error::ApiError, readiness::NotReady, state::Api};

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
