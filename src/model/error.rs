use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{error_type::ErrorType, request_extension::RequestExtension};

/// The response to every request that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Error {
    /// The kind of the error.
    #[serde(rename = "Type")]
    pub error_type: ErrorType,
    /// The identifier of the request, as in `X-Request-Id`.
    #[schema(value_type = String, format = "uuid")]
    pub instance: Uuid,
    /// The operation. It is absent if the request matches no operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub action: Option<&'static str>,
    /// What is wrong, and what to do about it.
    #[schema(pattern = r"^[^\u0000]*$")]
    pub detail: String,
    /// Where the request is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_extension: Option<RequestExtension>,
}
