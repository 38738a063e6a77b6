use serde::Serialize;
use utoipa::ToSchema;

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
