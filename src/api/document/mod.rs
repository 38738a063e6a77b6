//! The OpenAPI document that the annotations make.

mod openapi;
mod responses;

pub use openapi::Document;
pub(super) use responses::{
    BadRequest, ContentTooLarge, Created, Deleted, Found, InternalServerError, Listed, NotFound, NotModified,
    PreconditionFailed, ServiceUnavailable, Unauthorized, UnsupportedMediaType, Updated,
};
