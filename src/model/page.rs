//! A page of a list, and how it is asked for.

use serde::{Deserialize, Serialize};
use strum::EnumString;
use utoipa::ToSchema;

use super::{customer::Customer, integer::Integer};

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

/// How many items a page has at most.
pub type PageSize = Integer<1, 100, 20>;

/// By `Created`: the oldest customer first (`ASC`), or the newest (`DESC`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, EnumString)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum SortDirection {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}
