//! The answer to every request that fails.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

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

/// The kind of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ErrorType {
    /// The request breaks the contract.
    InvalidMessage,
    /// The request has no valid signature.
    Unauthorized,
    /// The request is signed, but not allowed.
    Forbidden,
    /// There is no such resource.
    ResourceNotFound,
    /// There was such a resource, but it is not kept any more.
    Gone,
    /// A precondition of the request does not hold.
    PreconditionFailed,
    /// The server failed.
    Unexpected,
    /// The server cannot take the request now.
    Unavailable,
}

/// The largest number of violations that one answer lists.
pub const VIOLATIONS_MAX: usize = 1000;

/// The parts of the request that are invalid. At most the first 1000 violations are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RequestExtension {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub path: Vec<RequestExtensionItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub query: Vec<RequestExtensionItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub header: Vec<RequestExtensionItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    pub body: Vec<RequestExtensionItem>,
}

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

/// The kind of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Reason {
    /// The contract's schema.
    SchemaValidation,
    /// The JSON grammar (RFC 8259).
    #[serde(rename = "MalformedJSON")]
    MalformedJson,
    /// A member or parameter may be given once.
    DuplicateMember,
    /// The rules of `Api-Signature`.
    Signature,
}
