//! What the service keeps and answers.

use std::{borrow::Cow, str::FromStr};

use derive_more::Display;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type},
};

use super::{
    customer_input::CustomerInput,
    text::{InvalidText, Text},
    time::Timestamp,
};

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

impl PartialSchema for Customer {
    fn schema() -> RefOr<Schema> {
        kept::<CustomerId, CustomerInput>()
    }
}

impl ToSchema for Customer {}

/// The schema of what the service keeps, such as a customer: the members of its input, and two in front of them. utoipa's
/// derive would make an `allOf`, which a closed object cannot have.
pub(super) fn kept<Id: ToSchema, Input: PartialSchema>() -> RefOr<Schema> {
    let mut schema = Input::schema();
    if let RefOr::T(Schema::Object(kept)) = &mut schema {
        kept.required.splice(..0, [Id::name().into_owned(), "Created".to_owned()]);
        kept.properties.insert(Id::name().into_owned(), Ref::from_schema_name(Id::name()).into());
        kept.properties.insert("Created".to_owned(), created().into());
    }
    schema
}

fn created() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"))
}

/// The customer's identifier, chosen by the caller and unique within the account.
#[derive(Debug, Display, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[display("{}", self.as_str())]
pub struct CustomerId(Text<1, 36>);

impl CustomerId {
    /// The id as a text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Converts into the text.
    pub fn into_string(self) -> String {
        self.0.into()
    }
}

impl TryFrom<String> for CustomerId {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        text.try_into().map(Self)
    }
}

impl FromStr for CustomerId {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        text.to_owned().try_into()
    }
}

impl PartialSchema for CustomerId {
    fn schema() -> RefOr<Schema> {
        Text::<1, 36>::schema()
    }
}

impl ToSchema for CustomerId {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CustomerID")
    }
}
