//! `Upgrade` is ignored, and an unknown `Expect` is refused at once, so that no client waits (RFC 9110, 7.8 and 10.1.1).

use actix_web::{
    HttpMessage as _, HttpRequest,
    dev::Payload,
    http::{
        Version,
        header::{CONTENT_LENGTH, EXPECT, HeaderValue, UPGRADE},
    },
    web::Bytes,
};
use futures_util::{StreamExt as _, stream::unfold};

use super::violation::violation;
use crate::{api::error::ApiError, model::RequestExtension};

/// The body of a request.
///
/// If a client offers WebSocket, the framework takes all that follows for the body and never sees its end. The offer is
/// ignored, so the body ends where `Content-Length` says.
pub(super) fn body(request: &HttpRequest, payload: Payload) -> Payload {
    let offers_websocket =
        |upgrade: &HeaderValue| upgrade.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    let is_endless = request.headers().get_all(UPGRADE).any(offers_websocket);
    if is_endless && !request.chunked().unwrap_or_default() {
        first(payload, length(request))
    } else {
        payload
    }
}

/// The first bytes of a payload.
fn first(payload: Payload, bytes: usize) -> Payload {
    let chunks = unfold((payload, bytes), |(mut payload, left)| async move {
        if left == 0 {
            return None;
        }
        let chunk = payload.next().await?.map(|mut chunk: Bytes| chunk.split_to(chunk.len().min(left)));
        let left = left - chunk.as_ref().map_or(0, Bytes::len);
        Some((chunk, (payload, left)))
    });
    Payload::from(chunks.boxed_local())
}

/// The `Content-Length`; the framework refuses one that is not a number.
fn length(request: &HttpRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH);
    length.and_then(|length| length.to_str().ok()?.trim().parse().ok()).unwrap_or_default()
}

/// Refuses an expectation that this service does not know, before the body is waited for: the client may be waiting
/// itself. HTTP/1.0 has no expectations.
pub(super) fn check_expectations(request: &HttpRequest) -> Result<(), ApiError> {
    let is_unknown = |expectation: &[u8]| {
        let expectation = expectation.trim_ascii();
        !expectation.is_empty() && !expectation.eq_ignore_ascii_case(b"100-continue")
    };
    let mut lines = request.headers().get_all(EXPECT);
    if request.version() < Version::HTTP_11
        || !lines.any(|line| line.as_bytes().split(|byte| *byte == b',').any(is_unknown))
    {
        return Ok(());
    }
    let header = vec![violation("Expect", "must be 100-continue, or absent")];
    Err(ApiError::invalid(RequestExtension { header, ..RequestExtension::default() }))
}
