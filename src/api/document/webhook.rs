//! The request that the service sends to those who want to be told of events.

use utoipa::openapi::{
    HttpMethod, PathItem, Paths, PathsBuilder, Required, Responses,
    header::HeaderBuilder,
    path::{OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    response::ResponseBuilder,
    schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type},
};

use super::responses::{JSON, content};

/// As many signatures as there may be secrets at a time.
const SIGNATURES: &str = "^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=){0,3}$";

/// A tag of its own: generators write a file for each, and would write this over that of the operations on events.
const TAG: &str = "Webhooks";

/// `webhooks`.
pub(super) fn webhooks() -> Paths {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0));
    let headers = [
        ("webhook-id", text().pattern(Some("^[0-9a-f]{32}$"))),
        ("webhook-timestamp", seconds),
        ("webhook-signature", text().pattern(Some(SIGNATURES))),
    ];
    let headers = headers.map(|(name, schema)| {
        let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
        header.required(Required::True).schema(Some(schema)).build()
    });
    let body = RequestBodyBuilder::new().required(Some(Required::True)).content(JSON, content("Event"));
    let answer = ResponseBuilder::new;
    let later = || answer().header("Retry-After", HeaderBuilder::new().schema(Some(text())).build());
    let answers = [("204", answer()), ("410", answer()), ("429", later()), ("503", later())];
    let operation = OperationBuilder::new()
        .operation_id(Some("receiveCustomerEvent"))
        .tag(TAG)
        .parameters(Some(headers))
        .request_body(Some(body.build()))
        .responses(answers.into_iter().collect::<Responses>());
    PathsBuilder::new().path("customerEvent", PathItem::new(HttpMethod::Post, operation)).build()
}
