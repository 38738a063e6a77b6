use serde::Serialize;
use utoipa::ToSchema;

use super::request_extension_item::RequestExtensionItem;

/// The largest number of violations that one answer lists.
pub const VIOLATIONS_MAX: usize = 1000;

/// The parts of the request that are invalid. At most the first 1000 violations are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RequestExtension {
    /// What is wrong with the path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub path: Vec<RequestExtensionItem>,
    /// What is wrong with the query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub query: Vec<RequestExtensionItem>,
    /// What is wrong with the headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub header: Vec<RequestExtensionItem>,
    /// What is wrong with the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub body: Vec<RequestExtensionItem>,
}
