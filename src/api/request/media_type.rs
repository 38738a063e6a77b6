use actix_web::{HttpMessage as _, HttpRequest, http::header::CONTENT_ENCODING, mime::APPLICATION_JSON};

use crate::api::error::ApiError;

/// Refuses a body that is not plain `application/json` (RFC 9110, 15.5.16).
pub(super) fn check(request: &HttpRequest) -> Result<(), ApiError> {
    let media_type = request.mime_type().ok().flatten();
    let is_json =
        media_type.is_some_and(|media_type| media_type.essence_str() == APPLICATION_JSON.essence_str());
    let is_encoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_json && !is_encoded { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}
