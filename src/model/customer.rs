use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{customer_id::CustomerId, customer_input::CustomerInput, kept::kept, timestamp::Timestamp};

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

impl PartialSchema for Customer {
    fn schema() -> RefOr<Schema> {
        kept::<CustomerId, CustomerInput>()
    }
}

impl ToSchema for Customer {}
