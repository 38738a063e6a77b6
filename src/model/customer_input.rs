//! What the caller sends.

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    address::{CountryCode, StreetAddress},
    strict::{self, without_nul},
    time::Date,
};

/// A customer, as the caller sends it.
// The one statement of a customer's members; `Customer` takes them from here. The values are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Members {
    /// The customer's name.
    #[serde(deserialize_with = "strict::object")]
    #[garde(dive)]
    full_name: FullName,
    /// The customer's date of birth.
    #[garde(skip)]
    date_of_birth: Date,
    /// The customer's identification documents.
    #[serde(deserialize_with = "strict::objects")]
    #[garde(dive)]
    identities: Vec<CustomerIdentity>,
    /// Where the customer lives.
    #[serde(deserialize_with = "strict::object")]
    #[garde(dive)]
    primary_residence: StreetAddress,
}

/// A customer that the contract accepts, as the caller sends it: the body of `putCustomer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CustomerInput(Members);

impl<'de> Deserialize<'de> for CustomerInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members: Members = strict::object(deserializer)?;
        members.validate().map_err(|_| de::Error::custom("the contract refuses this customer"))?;
        Ok(Self(members))
    }
}

impl PartialSchema for CustomerInput {
    fn schema() -> RefOr<Schema> {
        Members::schema()
    }
}

impl ToSchema for CustomerInput {}

/// The user's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FullName {
    /// user's first name
    #[garde(length(chars, min = 1, max = 50), custom(without_nul))]
    #[schema(min_length = 1, max_length = 50, pattern = r"^[^\u0000]*$")]
    pub first_name: String,
    /// user's last name (family name)
    #[garde(length(chars, min = 1, max = 50), custom(without_nul))]
    #[schema(min_length = 1, max_length = 50, pattern = r"^[^\u0000]*$")]
    pub last_name: String,
    /// user's middle name
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[garde(length(chars, min = 1, max = 50), inner(custom(without_nul)))]
    #[schema(nullable = false, min_length = 1, max_length = 50, pattern = r"^[^\u0000]*$")]
    pub middle_name: Option<String>,
}

/// An identification document of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CustomerIdentity {
    /// ISO 3166-1 alpha-2 country code.
    #[garde(skip)]
    pub issuing_country: CountryCode,
    /// The number of the document.
    #[serde(rename = "IDNumber")]
    #[garde(length(chars, min = 1, max = 36), custom(without_nul))]
    #[schema(min_length = 1, max_length = 36, pattern = r"^[^\u0000]*$")]
    pub id_number: String,
    /// When the document was issued.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(nullable = false)]
    pub issued_date: Option<Date>,
    /// When the document expires.
    #[serde(default, deserialize_with = "strict::present", skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(nullable = false)]
    pub expiry_date: Option<Date>,
    /// Type of identification document.
    #[serde(rename = "IDType", deserialize_with = "strict::name")]
    #[garde(skip)]
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
