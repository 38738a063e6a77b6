//! The document that the annotations of handlers and models make: the tests hold it equal to `openapi.yaml`.

use utoipa::OpenApi;

use super::{
    delete_customer, get_customer, list_customers, put_customer,
    responses::{
        BadRequest, ContentTooLarge, Headers, InternalServerError, NotFound, PreconditionFailed,
        ServiceUnavailable, Unauthorized, UnsupportedMediaType,
    },
};
use crate::model::{
    CountryCode, Customer, CustomerId, CustomerIdentity, CustomerInput, Customers, Date, Error, ErrorType,
    FullName, IdType, Reason, RequestExtension, RequestExtensionItem, SortDirection, StateRule,
    StreetAddress,
};

/// The document as the code has it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Customers API",
        version = "1.0.0",
        description = DESCRIPTION,
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = ".", description = "The server that serves this document")),
    tags((name = "Customers", description = "The people whom an account knows")),
    security(),
    paths(
        put_customer::put_customer,
        get_customer::get_customer,
        delete_customer::delete_customer,
        list_customers::list_customers
    ),
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
pub struct Document;

const DESCRIPTION: &str = "\
Customers of an account: create or replace, read, list and delete them.

Every request carries a digitally signed JWT in `Api-Signature`. An account sees its own customers only.

The contract is exact: a body is accepted if, and only if, its schema accepts it. Objects are closed, `null` does
not mean absent, lengths count Unicode code points, nothing is trimmed, and a member given twice is refused.

Where several errors apply, the first of this list is answered: an unknown path (404) or method (405), 413, 401,
415, 400, 404 of the customer, 412, and last 503 and 500. Every error has the same form: `Error`.";
