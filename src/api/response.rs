//! Responses that operations share.

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use utoipa::IntoResponses;

use super::document::{Responses, response, responses};

/// 204: what was asked for is done.
#[derive(Debug)]
pub(super) struct NoContent;

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl IntoResponses for NoContent {
    fn responses() -> Responses {
        responses([(204, response([]))])
    }
}
