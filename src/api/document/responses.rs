//! Responses of the operations and their headers, each stated once, for the annotations of the handlers.

use serde_json::{Value, json};
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};
use utoipa::{Modify, ToResponse};

/// `components/headers`.
pub(super) struct Headers;

impl Modify for Headers {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut add = |name: &str, description, schema: ObjectBuilder, example: Value| {
            components.headers.insert(name.to_owned(), header(description, schema.build(), example).into());
        };
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let format = |format: &str| text().format(Some(SchemaFormat::Custom(format.to_owned())));
        add(
            "ETag",
            "The version of the customer. It changes with every change, and never comes back.",
            text().pattern(Some(r#"^"[0-9a-f]{32}"$"#)),
            json!("\"5f2b0c6e9d1a4f7383c1e0b7a6d5940e\""),
        );
        add(
            "Cache-Control",
            "Customers are personal data: nobody on the way keeps them.",
            text().enum_values(Some(["no-store"])),
            json!("no-store"),
        );
        add(
            "Last-Modified",
            "When the customer was last changed.",
            text().pattern(Some(
                "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$",
            )),
            json!("Sat, 08 Mar 2025 09:30:00 GMT"),
        );
        add(
            "Location",
            "Where the customer can be read.",
            format("uri-reference"),
            json!("/customers/c-1001"),
        );
        add(
            "Retry-After",
            "After how many seconds to try again.",
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                .minimum(Some(1))
                .maximum(Some(60)),
            json!(1),
        );
        add(
            "WWW-Authenticate",
            "How to prove who sends the request.",
            text().enum_values(Some(["Api-Signature"])),
            json!("Api-Signature"),
        );
        add(
            "X-Request-Id",
            "The identifier of the request, for questions about it.",
            format("uuid"),
            json!(REQUEST_ID),
        );
    }
}

const REQUEST_ID: &str = "0195751f-3a2c-7c4e-9b1d-5e8f60a7b312";

/// A header that is always there. Only `Extensions` can say `required` in utoipa 6, and they add no prefix here.
fn header(description: &str, schema: Object, example: Value) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example))
        .extensions(Some(Extensions::from_iter([("required", true)])))
        .build()
}

fn response(description: &str, headers: &[&str]) -> ResponseBuilder {
    headers
        .iter()
        .chain(&["Cache-Control", "X-Request-Id"])
        .fold(ResponseBuilder::new().description(description), |response, header| {
            response.header_ref(*header, Ref::new(format!("#/components/headers/{header}")))
        })
}

fn content(schema: &str) -> ContentBuilder {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)))
}

fn json(content: ContentBuilder) -> (&'static str, Content) {
    ("application/json", content.build())
}

fn link(operation: &str, (parameter, expression): (&str, &str), description: &str) -> Link {
    LinkBuilder::new()
        .operation_id(operation)
        .parameter(parameter, expression)
        .description(description)
        .build()
}

fn with_links(response: ResponseBuilder) -> Response {
    let same = ("CustomerID", "$request.path.CustomerID");
    response
        .link("getCustomer", link("getCustomer", same, "Read the customer."))
        .link("deleteCustomer", link("deleteCustomer", same, "Delete the customer."))
        .build()
}

/// A response as a type, so that operations name it: `response = inline(Created)`, or by reference `response = NotFound`.
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
    Created => with_links(response("Customer created", &["ETag", "Location"]));
    Updated => with_links(response("Customer updated", &["ETag"]));
    Deleted => response("Customer deleted", &[]).build();
    Found => {
        let (media_type, content) = json(content("Customer").example(Some(full_customer())));
        response("The customer", &["ETag", "Last-Modified"]).content(media_type, content).build()
    };
    NotModified => response("The customer is unchanged", &["ETag", "Last-Modified"]).build();
    Listed => {
        let example = |summary: &str, value| ExampleBuilder::new().summary(summary).value(Some(value)).build();
        let content = content("Customers").examples_from_iter([
            ("Page", example("A page that another one follows", page())),
            ("LastPage", example("The last page", last_page())),
        ]);
        let (media_type, content) = json(content);
        let token = ("PageToken", "$response.body#/PageToken");
        response("A page of customers", &[])
            .content(media_type, content)
            .link("nextPage", link("listCustomers", token, "Read the next page, if there is one."))
            .build()
    };
}

fn full_customer() -> Value {
    json!({
        "CustomerID": "c-1001",
        "Created": "2025-03-08T09:30:00.123456Z",
        "FullName": { "FirstName": "Sam", "LastName": "Sample", "MiddleName": "Quinn" },
        "DateOfBirth": "1985-11-05",
        "Identities": [
            {
                "IssuingCountry": "US", "IDNumber": "X00000001", "IssuedDate": "2024-04-16", "ExpiryDate": "2034-04-15",
                "IDType": "Passport"
            },
            { "IssuingCountry": "US", "IDNumber": "D00000002", "IDType": "DrivingLicense" }
        ],
        "PrimaryResidence": {
            "Street": "100 Example Avenue", "Street2": "Apartment 2", "City": "Sampleville", "PostCode": "90001",
            "State": "CA", "Country": "US"
        }
    })
}

fn page() -> Value {
    json!({
        "Items": [{
            "CustomerID": "c-1002",
            "Created": "2025-03-08T09:31:07.000042Z",
            "FullName": { "FirstName": "Mia", "LastName": "Muster" },
            "DateOfBirth": "1990-01-31",
            "Identities": [],
            "PrimaryResidence": {
                "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "12345", "State": "Berlin",
                "Country": "DE"
            }
        }],
        "PageToken": "AQB3ZWxjb21lLXRvLXBhZ2UtdHdv"
    })
}

fn last_page() -> Value {
    json!({ "Items": [full_customer()] })
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
        let (media_type, content) = json(content);
        response("The request is invalid. All violations are listed, up to a thousand.", &[])
            .content(media_type, content)
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
    let (media_type, content) = json(content("Error").example(Some(example)));
    response.content(media_type, content).build()
}
