use serde::Serialize;
use utoipa::ToSchema;

use super::customer::Customer;

/// A page of customers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Customers {
    /// The customers, in the requested order.
    #[schema(max_items = 100)]
    pub items: Vec<Customer>,
    /// Send it to get the next page. It is absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 2048, pattern = r"^[^\u0000]*$")]
    pub page_token: Option<String>,
}
