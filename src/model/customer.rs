use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type, schema::RefBuilder},
};

use super::{customer_id::CustomerId, customer_input::CustomerInput, timestamp::Timestamp};

/// A customer, as the service keeps it: what the caller sent, its id, and when it was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Customer {
    /// The identifier of the customer.
    #[serde(rename = "CustomerID")]
    pub customer_id: CustomerId,
    /// When the customer was created.
    pub created: Timestamp,
    /// What the caller sent.
    #[serde(flatten)]
    pub input: CustomerInput,
}

impl Customer {
    /// The customer that was created at this time by putting this input under this id.
    #[must_use]
    pub fn new(customer_id: CustomerId, created: Timestamp, input: CustomerInput) -> Self {
        Self { customer_id, created, input }
    }
}

/// The members of [`CustomerInput`], and two in front of them. utoipa's derive would make an `allOf`, which a closed
/// object cannot have.
impl PartialSchema for Customer {
    fn schema() -> RefOr<Schema> {
        let mut schema = CustomerInput::schema();
        if let RefOr::T(Schema::Object(customer)) = &mut schema {
            customer.description = Some("A customer, as the service keeps it.".to_owned());
            customer.required.splice(..0, ["CustomerID", "Created"].map(str::to_owned));
            customer.properties.insert("CustomerID".to_owned(), customer_id().into());
            customer.properties.insert("Created".to_owned(), created().into());
        }
        schema
    }
}

impl ToSchema for Customer {}

fn customer_id() -> Ref {
    RefBuilder::new()
        .ref_location_from_schema_name(CustomerId::name())
        .description(Some("The identifier of the customer."))
        .build()
}

fn created() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("When the customer was created, in UTC."))
        .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"))
        .examples(["2025-03-08T09:30:00.123456Z"])
}
