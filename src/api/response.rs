//! Responses that operations share.

use std::marker::PhantomData;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::ContentType, web::Bytes};
use utoipa::{IntoResponses, Path, ToSchema};

use super::document::{JSON, Responses, content, link, response, responses};

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

/// 200: a page of the list that `A` annotates, as JSON of the schema `T`.
#[derive(Debug)]
pub(super) struct Listed<A, T>(Bytes, PhantomData<(A, T)>);

impl<A, T> From<Bytes> for Listed<A, T> {
    fn from(json: Bytes) -> Self {
        Self(json, PhantomData)
    }
}

impl<A, T> Responder for Listed<A, T> {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().content_type(ContentType::json()).body(self.0)
    }
}

impl<A: Path, T: ToSchema> IntoResponses for Listed<A, T> {
    fn responses() -> Responses {
        let list = A::operation().operation_id.unwrap_or_default();
        let next = link(&list, "PageToken", "$response.body#/PageToken");
        let listed = response([]).content(JSON, content(&T::name())).link("nextPage", next);
        responses([(200, listed)])
    }
}
