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
    /// The customer's name.
    #[serde(deserialize_with = "strict::object")]
    full_name: FullName,
    /// The customer's date of birth.
    date_of_birth: Date,
    /// The customer's identification documents.
    #[serde(deserialize_with = "strict::objects")]
    identities: Vec<CustomerIdentity>,
    /// Where the customer lives.
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
pub struct CustomerIdentity {
    /// ISO 3166-1 alpha-2 country code.
    pub issuing_country: CountryCode,
    /// The number of the document.
    #[serde(rename = "IDNumber")]
    #[schema(schema_with = IdNumber::schema)]
    pub id_number: IdNumber,
    /// When the document was issued.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub issued_date: Option<Date>,
    /// When the document expires.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expiry_date: Option<Date>,
    /// Type of identification document.
    #[serde(rename = "IDType", deserialize_with = "strict::name")]
    pub id_type: IdType,
}

/// Type of identification document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IDType)]
pub enum IdType {
    /// A licence to drive.
    DrivingLicense,
    /// A national identity card.
    #[serde(rename = "NationalIDCard")]
    NationalIdCard,
    /// A passport.
    Passport,
    /// A proof of address.
    AddressProof,
    /// A permit to reside.
    ResidencePermit,
    /// A tax identification number.
    #[serde(rename = "TaxID")]
    TaxId,
}
