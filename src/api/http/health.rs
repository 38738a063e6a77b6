//! Probes for monitoring: is the process alive, and can it do its work?

use actix_web::{HttpResponse, web::Data};

use crate::api::{error::ApiError, state::Api};

/// The process is alive.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// The database answers, so that requests can be sent here.
pub(super) async fn ready(api: Data<Api>) -> Result<HttpResponse, ApiError> {
    api.store.check().await?;
    Ok(HttpResponse::NoContent().finish())
}
