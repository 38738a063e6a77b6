use serde_json::json;
use utoipa::{
    OpenApi as _,
    openapi::{OpenApi, PathsBuilder, RefOr, Schema},
};

use super::{
    errors::{
        BadRequest, ContentTooLarge, InternalServerError, NotFound, PreconditionFailed, ServiceUnavailable,
        Unauthorized, UnsupportedMediaType,
    },
    head,
    headers::Headers,
};
use crate::{
    api::operation::Operation,
    model::{
        CountryCode, Customer, CustomerId, CustomerIdentity, CustomerInput, Customers, Date, Error,
        ErrorType, FullName, IdType, Reason, RequestExtension, RequestExtensionItem, SortDirection,
        StateRule, StreetAddress,
    },
};

/// The OpenAPI document of these operations, as their annotations and the models state it.
#[must_use]
pub fn document(operations: &[Operation]) -> OpenApi {
    let mut document = Components::openapi();
    let add =
        |paths: PathsBuilder, operation: &Operation| paths.path(operation.path(), operation.path_item());
    document.paths = operations.iter().fold(PathsBuilder::new(), add).build();
    head::add(&mut document);
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
        description = DESCRIPTION,
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = ".", description = "The server that serves this document")),
    tags((name = "Customers", description = "The customers of an account")),
    security(),
    components(
        schemas(
            CustomerId, CustomerInput, Customer, Customers, FullName, Date, CustomerIdentity, IdType, StreetAddress,
            CountryCode, SortDirection, Error, ErrorType, RequestExtension, RequestExtensionItem, Reason
        ),
        responses(
            BadRequest, Unauthorized, NotFound, PreconditionFailed, ContentTooLarge, UnsupportedMediaType,
            InternalServerError, ServiceUnavailable
        )
    ),
    modifiers(&Headers, &StateRule)
)]
struct Components;

const DESCRIPTION: &str = "\
Create, replace, read, list and delete the customers of an account.

Every request carries a digitally signed JWT in `Api-Signature`. An account sees only its own customers.

The contract is exact: the service accepts a request if, and only if, this document does. It refuses unknown
members, members that are given twice, query parameters that the operation does not list, and a body if the
operation has none. `null` does not mean absent. Lengths count Unicode code points. Nothing is trimmed.

A body is `application/json` in UTF-8, without a byte order mark and without a content coding. If the media type
has the parameter `charset`, it must be `utf-8`; other parameters are ignored. A body that nests deeper than 127
levels is refused.

A precondition (RFC 9110, 13.1) that the operation does not list is refused with 400, because an update could be
lost if it were ignored. No operation lists `If-Unmodified-Since`, because a date cannot tell apart two changes of
one second. Only `If-Modified-Since` is ignored where it is not listed, as the RFC says. A body with a
`Content-Range` is refused with 400. An `Expect` other than `100-continue` is refused with 400 before the body is
read. All other headers are ignored.

If several errors apply, the response is the first of this list: an unknown path (404) or method (405), 413, 401,
415, 400, an unknown customer (404), 412, and finally 503 and 500. Every error has the same form: `Error`. If a
service is too busy for another large body, the response is 503 before any other check.";
