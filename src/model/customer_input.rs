use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use super::{
    customer_identity::CustomerIdentity, date::Date, full_name::FullName, street_address::StreetAddress,
    strict,
};

/// A customer, as the caller sends it.
// The one statement of a customer's members: `Customer` takes them from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[schema(as = CustomerInput)]
pub struct CustomerFields {
    /// The customer's name.
    #[serde(deserialize_with = "strict::object")]
    #[garde(dive)]
    pub full_name: FullName,
    /// The customer's date of birth.
    #[garde(skip)]
    pub date_of_birth: Date,
    /// The customer's identification documents.
    #[serde(deserialize_with = "strict::objects")]
    #[garde(dive)]
    pub identities: Vec<CustomerIdentity>,
    /// Where the customer lives.
    #[serde(deserialize_with = "strict::object")]
    #[garde(dive)]
    pub primary_residence: StreetAddress,
}

/// The body of `putCustomer`: [`CustomerFields`] that the contract accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CustomerInput(CustomerFields);

impl CustomerInput {
    /// The valid fields.
    #[must_use]
    pub fn fields(&self) -> &CustomerFields {
        &self.0
    }

    /// Converts into the valid fields.
    #[must_use]
    pub fn into_fields(self) -> CustomerFields {
        self.0
    }
}

impl TryFrom<CustomerFields> for CustomerInput {
    type Error = garde::Report;

    fn try_from(fields: CustomerFields) -> Result<Self, garde::Report> {
        fields.validate()?;
        Ok(Self(fields))
    }
}

impl<'de> Deserialize<'de> for CustomerInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields: CustomerFields = strict::object(deserializer)?;
        Self::try_from(fields).map_err(|_| de::Error::custom("the contract refuses this customer"))
    }
}
