use serde_json::json;
use utoipa::{
    OpenApi as _,
    openapi::{OpenApi, PathsBuilder, RefOr, Schema},
};

use super::errors;
use crate::{
    api::operation::Operation,
    model::{
        CountryCode, Customer, CustomerId, CustomerIdentity, CustomerInput, Customers, Date, Error,
        ErrorType, Event, EventType, Events, FullName, IdType, Reason, RequestExtension,
        RequestExtensionItem, SortDirection, StateRule, StreetAddress,
    },
};

/// The OpenAPI document of these operations, as their annotations and the models state it.
pub fn document(operations: &[Operation]) -> OpenApi {
    let mut document = Components::openapi();
    let add =
        |paths: PathsBuilder, operation: &Operation| paths.path(operation.path(), operation.path_item());
    document.paths = operations.iter().fold(PathsBuilder::new(), add).build();
    document.components.get_or_insert_default().responses = errors::components();
    name_actions(&mut document, operations);
    document
}

/// The values of `Error.Action`: the operations.
fn name_actions(document: &mut OpenApi, operations: &[Operation]) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    if let Some(RefOr::T(Schema::Object(error))) = schemas.and_then(|schemas| schemas.get_mut("Error"))
        && let Some(RefOr::T(Schema::Object(action))) = error.properties.get_mut("Action")
    {
        action.enum_values = Some(operations.iter().map(|operation| json!(operation.id())).collect());
    }
}

/// The document without its paths.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Customers API",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/")),
    tags((name = "Customers"), (name = "Events"), (name = "Webhooks")),
    security(),
    components(schemas(
        CustomerId, CustomerInput, Customer, Customers, FullName, Date, CustomerIdentity, IdType, StreetAddress,
        CountryCode, SortDirection, Event, EventType, Events, Error, ErrorType, RequestExtension, RequestExtensionItem, Reason
    )),
    modifiers(&StateRule)
)]
struct Components;
