//! Responses, and the parts that they are made of.

use std::collections::BTreeMap;

use utoipa::openapi::{
    Ref, RefOr, Response,
    content::Content,
    link::{Link, LinkBuilder},
    response::ResponseBuilder,
};

/// Responses by status.
pub(crate) type Responses = BTreeMap<String, RefOr<Response>>;

/// These responses, each with its status.
pub(crate) fn responses<const N: usize>(responses: [(u16, ResponseBuilder); N]) -> Responses {
    responses.map(|(status, response)| (status.to_string(), response.build().into())).into()
}

/// A response with these headers, and those that every response has.
pub(crate) fn response<'a>(headers: impl IntoIterator<Item = &'a str>) -> ResponseBuilder {
    let headers = headers.into_iter().chain(["Cache-Control", "X-Request-Id"]);
    headers.fold(ResponseBuilder::new(), |response, header| {
        response.header_ref(header, Ref::new(format!("#/components/headers/{header}")))
    })
}

/// The one media type of the contract.
pub(crate) const JSON: &str = "application/json";

/// JSON of a schema in `components/schemas`.
pub(crate) fn content(schema: &str) -> Content {
    Content::new(Some(Ref::from_schema_name(schema)))
}

/// A link that fills a parameter of another operation from this response or its request.
pub(crate) fn link(operation: &str, parameter: &str, expression: &str) -> Link {
    LinkBuilder::new().operation_id(operation).parameter(parameter, expression).build()
}
