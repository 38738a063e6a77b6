//! What the caller sends.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    address::{CountryCode, StreetAddress},
    strict,
    text::Text,
    time::Date,
};

/// A customer, as the caller sends it.
// The one statement of a customer's members; `Customer` takes them from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Members {
    #[serde(deserialize_with = "strict::object")]
    full_name: FullName,
    date_of_birth: Date,
    #[serde(deserialize_with = "strict::objects")]
    identities: Vec<CustomerIdentity>,
    primary_residence: StreetAddress,
}

/// A customer that the contract accepts, as the caller sends it: the body of `putCustomer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CustomerInput(Members);

impl<'de> Deserialize<'de> for CustomerInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::object(deserializer).map(Self)
    }
}

impl PartialSchema for CustomerInput {
    fn schema() -> RefOr<Schema> {
        Members::schema()
    }
}

impl ToSchema for CustomerInput {}

type Name = Text<1, 50>;

/// The user's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FullName {
    /// user's first name
    #[schema(schema_with = Name::schema)]
    pub first_name: Name,
    /// user's last name (family name)
    #[schema(schema_with = Name::schema)]
    pub last_name: Name,
    /// user's middle name
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = Name::schema)]
    pub middle_name: Option<Name>,
}

type IdNumber = Text<1, 36>;

/// An identification document of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CustomerIdentity {
    pub(crate) issuing_country: CountryCode,
    #[serde(rename = "IDNumber")]
    #[schema(schema_with = IdNumber::schema)]
    pub(crate) id_number: IdNumber,
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) issued_date: Option<Date>,
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) expiry_date: Option<Date>,
    #[serde(rename = "IDType", deserialize_with = "strict::name")]
    pub(crate) id_type: IdType,
}

/// Type of identification document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IDType)]
pub(crate) enum IdType {
    DrivingLicense,
    #[serde(rename = "NationalIDCard")]
    NationalIdCard,
    Passport,
    AddressProof,
    ResidencePermit,
    #[serde(rename = "TaxID")]
    TaxId,
}
