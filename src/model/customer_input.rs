use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    customer_identity::CustomerIdentity, date::Date, full_name::FullName, street_address::StreetAddress,
    strict,
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
