use std::{fmt, str::FromStr};

use garde::Validate;
use serde::Serialize;
use utoipa::ToSchema;

use super::text::without_nul;

/// The customer's identifier, chosen by the caller and unique within the account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Validate, ToSchema)]
#[garde(transparent)]
#[schema(as = CustomerID, min_length = 1, max_length = 36, pattern = r"^[^\u0000]*$")]
pub struct CustomerId(#[garde(length(chars, min = 1, max = 36), custom(without_nul))] String);

/// Why a text is not a [`CustomerId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 36 characters, and must not contain U+0000")]
pub struct InvalidCustomerId;

impl CustomerId {
    /// The id as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Converts into the text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl TryFrom<String> for CustomerId {
    type Error = InvalidCustomerId;

    fn try_from(text: String) -> Result<Self, InvalidCustomerId> {
        let id = Self(text);
        id.validate().map_err(|_| InvalidCustomerId)?;
        Ok(id)
    }
}

impl FromStr for CustomerId {
    type Err = InvalidCustomerId;

    fn from_str(text: &str) -> Result<Self, InvalidCustomerId> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
