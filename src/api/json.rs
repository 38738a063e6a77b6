use actix_web::{HttpResponse, HttpResponseBuilder, http::header::ContentType};
use serde::Serialize;

use super::error::ApiError;

/// Finishes an answer with a JSON body.
pub(super) fn json(mut response: HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(bytes) => response.content_type(ContentType::json()).body(bytes),
        Err(error) => HttpResponse::from_error(ApiError::Internal(error.into())),
    }
}
