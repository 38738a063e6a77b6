use std::error::Error as _;

use actix_web::{
    Error, HttpResponse, ResponseError as _,
    body::BoxBody,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
};
use uuid::Uuid;

use crate::{
    api::{
        error::ApiError,
        operation::{Operation, OperationCell},
    },
    telemetry,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The one form of errors, from every layer, for one request.
pub(super) struct ErrorForm {
    pub(super) request_id: Uuid,
    pub(super) operation: OperationCell,
}

impl ErrorForm {
    /// The response to an error: one of ours as it is, one of the framework by its status.
    pub(super) fn response(&self, error: &Error) -> HttpResponse {
        if let Some(error) = error.as_error::<ApiError>() {
            return self.render(error);
        }
        self.render(&match error.as_response_error().status_code() {
            StatusCode::NOT_FOUND => ApiError::RouteNotFound,
            status if status.is_client_error() => ApiError::Malformed,
            _ => ApiError::Internal(error.to_string().into()),
        })
    }

    /// The response to one of our errors. Its cause is logged.
    pub(super) fn render(&self, error: &ApiError) -> HttpResponse {
        let Self { request_id, operation } = self;
        if let Some(cause) = error.source() {
            tracing::error!(%request_id, cause = %telemetry::chain(cause), "{error}");
        }
        let body = error.body(*request_id, operation.get().copied().map(Operation::id));
        let mut response = error.error_response();
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response.set_body(BoxBody::new(serde_json::to_vec(&body).unwrap_or_default()))
    }
}
