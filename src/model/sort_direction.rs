use std::str::FromStr;

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer as _, value},
};
use utoipa::ToSchema;

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
