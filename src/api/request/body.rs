use std::time::Duration;

use actix_web::{
    HttpMessage as _, HttpRequest,
    dev::Payload,
    http::header::CONTENT_LENGTH,
    web::{Bytes, BytesMut},
};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::api::{
    budget::{Allowance, Budget},
    error::ApiError,
    settings::BODY_BYTES_MAX,
};

/// How long a body may take to arrive, so that a slow sender does not hold a connection.
pub(in crate::api) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the body. What it occupies counts until the request is answered.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    budget: &Budget,
) -> Result<Bytes, ApiError> {
    timeout(BODY_TIMEOUT, collect(request, payload, budget)).await.map_err(|_late| ApiError::Malformed)?
}

async fn collect(request: &HttpRequest, mut payload: Payload, budget: &Budget) -> Result<Bytes, ApiError> {
    let declared = declared_bytes(request)?;
    if declared > BODY_BYTES_MAX {
        return Err(ApiError::ContentTooLarge);
    }
    // What does not come is not touched, and so it occupies no memory.
    let (mut body, mut share) = (BytesMut::with_capacity(declared), budget.share(Allowance::of(request)));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_cut_off| ApiError::Malformed)?;
        let bytes = body.len() + chunk.len();
        if bytes > BODY_BYTES_MAX {
            return Err(ApiError::ContentTooLarge);
        }
        share.grow(bytes)?;
        body.extend_from_slice(&chunk);
    }
    request.extensions_mut().insert(share);
    Ok(body.freeze())
}

fn declared_bytes(request: &HttpRequest) -> Result<usize, ApiError> {
    let Some(length) = request.headers().get(CONTENT_LENGTH) else { return Ok(0) };
    length.to_str().ok().and_then(|length| length.parse().ok()).ok_or(ApiError::Malformed)
}
