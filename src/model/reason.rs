use serde::Serialize;
use utoipa::ToSchema;

/// The kind of a violation:
///
/// - SchemaValidation: the value does not match its schema
/// - MalformedJSON: the body is not valid JSON in UTF-8, begins with a byte order mark, nests deeper than 127
///   levels, or has a number beyond the range of 64-bit floating point
/// - DuplicateMember: an object has two members of the same name
/// - Signature: the value does not match the signature
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
