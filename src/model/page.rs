//! A page of a list, and how it is asked for.

use std::str::FromStr;

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer as _, value},
};
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

/// The largest number of customers on one page.
pub const PAGE_ITEMS_MAX: u32 = 100;

/// How many customers a page holds at most: 1 to [`PAGE_ITEMS_MAX`], 20 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u32);

/// Why a text is not a [`PageSize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from 1 to {PAGE_ITEMS_MAX}")]
pub struct InvalidPageSize;

impl PageSize {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(20)
    }
}

impl FromStr for PageSize {
    type Err = InvalidPageSize;

    /// Takes an integer as JSON writes it: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, InvalidPageSize> {
        let size: u32 = text.parse().map_err(|_| InvalidPageSize)?;
        let is_canonical = size.to_string() == text;
        if is_canonical && (1..=PAGE_ITEMS_MAX).contains(&size) {
            Ok(Self(size))
        } else {
            Err(InvalidPageSize)
        }
    }
}

/// By `Created`: the oldest customer first (`ASC`), or the newest (`DESC`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SortDirection {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

/// Why a text is not a [`SortDirection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of ASC, DESC")]
pub struct InvalidSortDirection;

impl FromStr for SortDirection {
    type Err = InvalidSortDirection;

    fn from_str(text: &str) -> Result<Self, InvalidSortDirection> {
        let parsed: Result<Self, value::Error> = Self::deserialize(text.into_deserializer());
        parsed.map_err(|_| InvalidSortDirection)
    }
}
