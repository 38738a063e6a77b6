//! The OpenAPI document that the annotations and the types make, without the texts and examples that only a reader needs. The
//! tests hold it equal to `openapi.yaml`.

mod errors;
mod head;
mod headers;
mod openapi;
mod responses;
mod webhook;

pub(super) use errors::{Gone, NotFound, PreconditionFailed, errors_of_signed_requests};
pub use openapi::document;
pub(super) use responses::{JSON, Responses, content, link, response, responses};
