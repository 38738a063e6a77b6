//! For whatever watches over the process: is it alive, and can it do its work?

use actix_web::{HttpResponse, web::Data};

use crate::api::{error::ApiError, state::Api};

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// The database answers too, so that requests may be sent here.
pub(super) async fn ready(api: Data<Api>) -> Result<HttpResponse, ApiError> {
    api.store.check().await?;
    Ok(HttpResponse::NoContent().finish())
}
