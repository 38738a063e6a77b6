//! The errors in `components/responses`, each as a type that the annotations name.

use serde_json::{Value, json};
use utoipa::{
    ToResponse,
    openapi::{
        RefOr,
        example::ExampleBuilder,
        response::{Response, ResponseBuilder},
    },
};

use super::{
    headers::REQUEST_ID,
    responses::{JSON, content, response},
};

macro_rules! responses {
    ($($name:ident => $response:expr;)*) => {$(
        pub(in crate::api) struct $name;

        impl<'r> ToResponse<'r> for $name {
            fn response() -> (&'r str, RefOr<Response>) {
                (stringify!($name), RefOr::T($response))
            }
        }
    )*};
}

responses! {
    BadRequest => {
        let example = |summary: &str, action, detail, part: &str, items: Value| {
            let value = json!({
                "Type": "InvalidMessage", "Instance": REQUEST_ID, "Action": action, "Detail": detail,
                "RequestExtension": { part: items }
            });
            ExampleBuilder::new().summary(summary).value(Some(value)).build()
        };
        let item = |field, reason, description| json!({ "Field": field, "Reason": reason, "Description": description });
        let content = content("Error").examples_from_iter([
            ("Body", example("The body does not match its schema", "putCustomer", "2 fields are invalid", "Body", json!([
                item("FullName.LastName", "SchemaValidation", "is required"),
                item(
                    "Identities[0].IDType",
                    "SchemaValidation",
                    "must be one of DrivingLicense, NationalIDCard, Passport, AddressProof, ResidencePermit, TaxID",
                ),
            ]))),
            ("MalformedBody", example("The body is no JSON", "putCustomer", "1 field is invalid", "Body", json!([
                item("", "MalformedJSON", "is not JSON"),
            ]))),
            ("Path", example("The path does not match its schema", "getCustomer", "1 field is invalid", "Path", json!([
                item("CustomerID", "SchemaValidation", "must have at most 36 characters"),
            ]))),
            ("Query", example("The query does not match its schema", "listCustomers", "2 fields are invalid", "Query", json!([
                item("PageSize", "SchemaValidation", "must be at most 100"),
                item("SortDirection", "SchemaValidation", "must be one of ASC, DESC"),
            ]))),
        ]);
        response("The request is invalid. All violations are listed, up to a thousand.", &[])
            .content(JSON, content.build())
            .build()
    };
    Unauthorized => error(
        response("The signature is missing, or it does not prove who sent exactly this request.", &["WWW-Authenticate"]),
        "Unauthorized", "putCustomer", "bodyHash is not the SHA-256 of this body",
    );
    NotFound => error(
        response("The account has no such customer.", &[]),
        "ResourceNotFound", "getCustomer", "there is no such customer",
    );
    PreconditionFailed => error(
        response("The precondition does not hold, and nothing was changed.", &[]),
        "PreconditionFailed", "putCustomer", "If-Match names no current version of the customer",
    );
    ContentTooLarge => error(
        response("The body is larger than 1 MiB.", &[]),
        "InvalidMessage", "putCustomer", "the body is larger than 1048576 bytes",
    );
    UnsupportedMediaType => error(
        response("The body is not `application/json`.", &[]),
        "InvalidMessage", "putCustomer", "send the body as application/json",
    );
    InternalServerError => error(
        response("The service failed. The identifier of the request leads to the cause in its logs.", &[]),
        "Unexpected", "putCustomer", "something went wrong",
    );
    ServiceUnavailable => error(
        response("The service cannot take the request now. It may be sent again, unchanged.", &["Retry-After"]),
        "Unavailable", "putCustomer", "try again in a second",
    );
}

fn error(response: ResponseBuilder, r#type: &str, action: &str, detail: &str) -> Response {
    let example = json!({ "Type": r#type, "Instance": REQUEST_ID, "Action": action, "Detail": detail });
    response.content(JSON, content("Error").example(Some(example)).build()).build()
}
