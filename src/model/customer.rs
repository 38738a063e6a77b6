use serde::Serialize;
use utoipa::ToSchema;

use super::{
    CustomerFields, CustomerId, CustomerIdentity, CustomerInput, Date, FullName, StreetAddress, Timestamp,
};

/// A customer, as the service keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Customer {
    /// The identifier of the customer.
    #[serde(rename = "CustomerID")]
    pub customer_id: CustomerId,
    /// When the customer was created, in UTC.
    #[schema(
        value_type = String,
        format = DateTime,
        pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
        examples("2025-03-08T09:30:00.123456Z")
    )]
    pub created: Timestamp,
    /// The customer's name.
    pub full_name: FullName,
    /// The customer's date of birth.
    pub date_of_birth: Date,
    /// The customer's identification documents.
    pub identities: Vec<CustomerIdentity>,
    /// Where the customer lives.
    pub primary_residence: StreetAddress,
}

impl Customer {
    /// The customer that this input, put under this id, became at this moment.
    #[must_use]
    pub fn new(customer_id: CustomerId, created: Timestamp, input: CustomerInput) -> Self {
        let CustomerFields { full_name, date_of_birth, identities, primary_residence } = input.into_fields();
        Self { customer_id, created, full_name, date_of_birth, identities, primary_residence }
    }
}
