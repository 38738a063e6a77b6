//! The parts that responses are made of.

use utoipa::openapi::{
    Ref,
    content::ContentBuilder,
    link::{Link, LinkBuilder},
    response::ResponseBuilder,
};

/// A response with these headers, and those that every response has.
pub(crate) fn response(description: &str, headers: &[&str]) -> ResponseBuilder {
    headers
        .iter()
        .chain(&["Cache-Control", "X-Request-Id"])
        .fold(ResponseBuilder::new().description(description), |response, header| {
            response.header_ref(*header, Ref::new(format!("#/components/headers/{header}")))
        })
}

/// The one media type of the contract.
pub(crate) const JSON: &str = "application/json";

/// JSON of a schema in `components/schemas`.
pub(crate) fn content(schema: &str) -> ContentBuilder {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)))
}

/// A link that fills a parameter of another operation from this response or its request.
pub(crate) fn link(operation: &str, (parameter, expression): (&str, &str), description: &str) -> Link {
    LinkBuilder::new()
        .operation_id(operation)
        .parameter(parameter, expression)
        .description(description)
        .build()
}
