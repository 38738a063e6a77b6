//! `components/headers`, for which utoipa has no annotation.

use utoipa::openapi::{
    extensions::Extensions,
    header::{Header, HeaderBuilder},
    schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type},
};

const LAST_MODIFIED: &str =
    "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$";

/// `components/headers`.
pub(super) fn components() -> impl Iterator<Item = (&'static str, Header)> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let format = |format: &str| text().format(Some(SchemaFormat::Custom(format.to_owned())));
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(1))
        .maximum(Some(60));
    let schemas = [
        ("Cache-Control", text().enum_values(Some(["no-store"]))),
        ("ETag", text().pattern(Some(r#"^"[0-9a-f]{32}"$"#))),
        ("Last-Modified", text().pattern(Some(LAST_MODIFIED))),
        ("Location", format("uri-reference")),
        ("Retry-After", seconds),
        ("WWW-Authenticate", text().enum_values(Some(["Api-Signature"]))),
        ("X-Request-Id", format("uuid")),
    ];
    schemas.into_iter().map(|(name, schema)| (name, header(schema)))
}

/// A header that is always there. Only `Extensions` can say `required` in utoipa 6, and they add no prefix here.
fn header(schema: ObjectBuilder) -> Header {
    let required = Extensions::from_iter([("required", true)]);
    HeaderBuilder::new().schema(Some(schema)).extensions(Some(required)).build()
}
