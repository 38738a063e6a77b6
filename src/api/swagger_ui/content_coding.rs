//! Content codings (RFC 9110, 12.5.3): the vendored files are kept as gzip, and not every client reads that.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    sync::Mutex,
};

use actix_web::{
    HttpRequest,
    http::header::{AcceptEncoding, Encoding, Header as _},
    web::{self, Bytes},
};
use flate2::read::GzDecoder;

use crate::{api::error::ApiError, lock::lock};

/// Whether a client asks for gzip. One that asks for nothing may not know it.
pub(super) fn asks_for_gzip(request: &HttpRequest) -> bool {
    let offered = [Encoding::gzip(), Encoding::identity()];
    let asked = AcceptEncoding::parse(request);
    asked.is_ok_and(|asked| asked.negotiate(offered.iter()) == Some(Encoding::gzip()))
}

/// The files without their coding, by name. They are few, and each is decoded once.
static DECODED: Mutex<BTreeMap<String, Bytes>> = Mutex::new(BTreeMap::new());

/// A file without its coding. No worker waits while it is decoded.
pub(super) async fn without_gzip(name: String, gzip: Bytes) -> Result<Bytes, ApiError> {
    let known = DECODED.try_lock().ok().and_then(|decoded| decoded.get(&name).cloned());
    if let Some(bytes) = known {
        return Ok(bytes);
    }
    let decoded = web::block(move || {
        let mut decoded = lock(&DECODED);
        if let Some(bytes) = decoded.get(&name) {
            return Ok(bytes.clone());
        }
        let mut bytes = Vec::new();
        GzDecoder::new(gzip.as_ref()).read_to_end(&mut bytes)?;
        let bytes = Bytes::from(bytes);
        decoded.insert(name, bytes.clone());
        Ok(bytes)
    });
    let decoded = decoded.await.map_err(|error| ApiError::Internal(error.to_string().into()))?;
    decoded.map_err(|error: io::Error| ApiError::Internal(error.into()))
}
