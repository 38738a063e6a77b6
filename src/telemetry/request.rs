//! What a span says of a request.

use uuid::Uuid;

use super::trace_parent::TraceParent;

/// What stands for a method that clients made up, as OpenTelemetry has it.
pub const OTHER_METHOD: &str = "_OTHER";

/// What a span says of a request from its begin.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The method, or [`OTHER_METHOD`].
    pub method: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The version of HTTP.
    pub version: &'static str,
    /// The caller's span.
    pub parent: Option<TraceParent>,
}

/// What a span says of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The path with its parameters by name, if the service has it.
    pub route: Option<&'static str>,
    /// The status.
    pub status: u16,
    /// The id of the request.
    pub request_id: Uuid,
}
