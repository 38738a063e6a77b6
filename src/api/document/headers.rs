//! `components/headers`, for which utoipa has no annotation.

use serde_json::{Value, json};
use utoipa::{
    Modify,
    openapi::{
        OpenApi,
        extensions::Extensions,
        header::{Header, HeaderBuilder},
        schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type},
    },
};
use uuid::{Uuid, uuid};

/// The id of the request in all examples.
pub(super) const REQUEST_ID: Uuid = uuid!("0195751f-3a2c-7c4e-9b1d-5e8f60a7b312");

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
            "The version of the customer. Every change gives it a new value, and no value is used twice.",
            text().pattern(Some(r#"^"[0-9a-f]{32}"$"#)),
            json!("\"5f2b0c6e9d1a4f7383c1e0b7a6d5940e\""),
        );
        add(
            "Cache-Control",
            "Customers are personal data: no cache may store them.",
            text().enum_values(Some(["no-store"])),
            json!("no-store"),
        );
        add(
            "Last-Modified",
            "When the customer was last changed, rounded up to a full second, but never later than `Date`.",
            text().pattern(Some(
                "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$",
            )),
            json!("Sat, 08 Mar 2025 09:30:00 GMT"),
        );
        add(
            "Location",
            "Where the customer can be read, relative to the URI of the request (RFC 3986, 5.2).",
            format("uri-reference"),
            json!("./c-1001"),
        );
        add(
            "Retry-After",
            "After how many seconds to send the request again.",
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
            "The identifier of the request. It is also in the logs.",
            format("uuid"),
            json!(REQUEST_ID),
        );
    }
}

/// A header that is always there. Only `Extensions` can say `required` in utoipa 6, and they add no prefix here.
fn header(description: &str, schema: Object, example: Value) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example))
        .extensions(Some(Extensions::from_iter([("required", true)])))
        .build()
}
