//! Content codings (RFC 9110, 12.5.3): the vendored files are kept as gzip, and not every client reads that.

use std::{borrow::Cow, io::Read as _};

use actix_web::{
    HttpRequest,
    http::header::{AcceptEncoding, Encoding, Header as _},
    web,
};
use flate2::read::GzDecoder;

use crate::api::error::ApiError;

/// Whether a client asks for gzip. One that asks for nothing may not know it.
pub(super) fn asks_for_gzip(request: &HttpRequest) -> bool {
    let offered = [Encoding::gzip(), Encoding::identity()];
    let asked = AcceptEncoding::parse(request);
    asked.is_ok_and(|asked| asked.negotiate(offered.iter()) == Some(Encoding::gzip()))
}

/// A file without its coding. No worker waits while it is decoded.
pub(super) async fn without_gzip(gzip: Cow<'static, [u8]>) -> Result<Vec<u8>, ApiError> {
    let decoded = web::block(move || {
        let mut bytes = Vec::new();
        GzDecoder::new(gzip.as_ref()).read_to_end(&mut bytes).map(|_| bytes)
    });
    let decoded = decoded.await.map_err(|error| ApiError::Internal(error.to_string().into()))?;
    decoded.map_err(|error| ApiError::Internal(error.into()))
}
