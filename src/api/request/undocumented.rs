//! What an operation does not document is refused: a request must not do something else than its sender asked for.

use actix_web::{
    HttpRequest,
    http::header::{CONTENT_RANGE, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE},
};

use super::violation::violation;
use crate::{
    api::operation::Operation,
    contract::{Segment, field_of},
    model::{Reason, RequestExtension, RequestExtensionItem, VIOLATIONS_MAX},
};

/// The preconditions of RFC 9110, 13.1, each as the contract writes it. Not among them is `If-Modified-Since`, which 13.1.3
/// says to ignore where it has no meaning, and `If-Range`, which goes with `Range`.
const PRECONDITIONS: [(HeaderName, &str); 3] =
    [(IF_MATCH, "If-Match"), (IF_NONE_MATCH, "If-None-Match"), (IF_UNMODIFIED_SINCE, "If-Unmodified-Since")];

/// The parameters, preconditions and bodies of a request that its operation does not have, and the parameters that are
/// given twice.
pub(super) fn violations(operation: &Operation, request: &HttpRequest, body: &[u8]) -> RequestExtension {
    RequestExtension {
        query: query(operation, request),
        header: preconditions(operation, request).chain(part(operation, request)).collect(),
        body: unexpected_body(operation, body).into_iter().collect(),
        ..RequestExtension::default()
    }
}

fn query(operation: &Operation, request: &HttpRequest) -> Vec<RequestExtensionItem> {
    let query = request.uri().query().unwrap_or_default();
    let mut seen = Vec::new();
    form_urlencoded::parse(query.as_bytes())
        .filter_map(|(name, _)| {
            if !operation.has_query_parameter(&name) {
                return Some(violation(&field_of([Segment::Member(&name)]), "is not a known parameter"));
            }
            if seen.contains(&name) {
                let item = violation(&name, "is given more than once");
                return Some(RequestExtensionItem { reason: Reason::DuplicateMember, ..item });
            }
            seen.push(name);
            None
        })
        .take(VIOLATIONS_MAX + 1)
        .collect()
}

fn preconditions(operation: &Operation, request: &HttpRequest) -> impl Iterator<Item = RequestExtensionItem> {
    let is_unknown = |(header, name): &(HeaderName, &'static str)| {
        request.headers().contains_key(header) && !operation.has_header(name)
    };
    let advice = if operation.has_header("If-Match") { "send If-Match instead" } else { "leave it out" };
    let description = format!("is not a precondition of this operation: {advice}");
    PRECONDITIONS.into_iter().filter(is_unknown).map(move |(_, name)| violation(name, &description))
}

/// A part that would be taken for the whole (RFC 9110, 14.5).
fn part(operation: &Operation, request: &HttpRequest) -> Option<RequestExtensionItem> {
    let is_part = operation.has_body() && request.headers().contains_key(CONTENT_RANGE);
    is_part.then(|| violation("Content-Range", "is not supported: send the whole body, without it"))
}

fn unexpected_body(operation: &Operation, body: &[u8]) -> Option<RequestExtensionItem> {
    let is_unexpected = !operation.has_body() && !body.is_empty();
    is_unexpected.then(|| violation("", "must be absent: this operation has no body"))
}
