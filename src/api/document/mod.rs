//! The OpenAPI document that the annotations make. The tests hold it equal to `openapi.yaml`.

mod errors;
mod head;
mod headers;
mod openapi;
mod parameters;
mod responses;

pub(super) use errors::{
    BadRequest, ContentTooLarge, InternalServerError, NotFound, PreconditionFailed, ServiceUnavailable,
    Unauthorized, UnsupportedMediaType,
};
pub use openapi::document;
pub(super) use parameters::ApiSignatureParameter;
pub(super) use responses::{JSON, content, link, response};
