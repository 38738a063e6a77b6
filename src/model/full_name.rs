use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{strict, text::without_nul};

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
