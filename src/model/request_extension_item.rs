use serde::Serialize;
use utoipa::ToSchema;

use super::reason::Reason;

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RequestExtensionItem {
    /// The parameter, or the path of the member, such as `FullName.LastName` or `Identities[0].IDType`. It is empty
    /// for the body as a whole.
    #[schema(examples("Identities[0].IDType"))]
    pub field: String,
    /// The kind of the violation.
    pub reason: Reason,
    /// What is wrong with it.
    #[schema(pattern = r"^[^\u0000]*$", examples("is required"))]
    pub description: String,
}
