//! The OpenAPI document that the annotations and the types make. The tests hold it equal to `openapi.yaml`, which alone has the
//! texts and examples that only a reader needs, the schemas of headers, and the webhook: every test holds what is sent to these.

mod errors;
mod openapi;
mod responses;

pub(super) use errors::{Gone, NotFound, PreconditionFailed, errors_of_signed_requests};
pub use openapi::document;
pub(super) use responses::{JSON, Responses, content, link, response, responses};
