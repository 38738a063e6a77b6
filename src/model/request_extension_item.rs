use serde::Serialize;
use utoipa::ToSchema;

use super::reason::Reason;

/// The largest length of a field's path.
pub const FIELD_LENGTH_MAX: usize = 256;

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RequestExtensionItem {
    /// The parameter, or the path of the member, such as `FullName.LastName` or `Identities[0].IDType`. It is empty
    /// for the body as a whole. A longer path is cut, and ends with `...`.
    #[schema(max_length = 256)]
    pub field: String,
    /// The kind of the violation.
    pub reason: Reason,
    /// What is wrong with it.
    #[schema(pattern = r"^[^\u0000]*$")]
    pub description: String,
}
