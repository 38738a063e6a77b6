use std::borrow::Cow;

use jsonwebtoken::Header;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    claims::{hex_sha256, pairs},
    encoding::InvalidKey,
    facts::Facts,
    key::PrivateKey,
};
use crate::random;

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(transparent)]
    Key(#[from] InvalidKey),
    #[error("the cryptographic library failed: {0}")]
    Library(#[from] jsonwebtoken::errors::Error),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    query_params: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hash: Option<String>,
}

/// Makes the `Api-Signature` of a request: a JWS in compact form that [`super::verify()`] accepts for the same facts.
///
/// The token expires `expires_in` seconds after `now`. A random `jti` tells it from another one with equal claims.
pub fn sign(
    key: &PrivateKey,
    key_id: Option<&str>,
    facts: &Facts<'_>,
    expires_in: i64,
) -> Result<String, SignError> {
    let Facts { audience, now, method, path, base_path: _, template: _, query, body } = *facts;
    let claims = Claims {
        aud: audience,
        iat: now,
        exp: now + expires_in,
        jti: random::uuid().to_string(),
        method,
        path,
        query_params: query_params(query),
        body_hash: (!body.is_empty()).then(|| hex_sha256(body)),
    };
    let header = Header { kid: key_id.map(str::to_owned), ..Header::new(key.algorithm().jose()) };
    Ok(jsonwebtoken::encode(&header, &claims, &key.encoding()?)?)
}

fn query_params(query: &str) -> Map<String, Value> {
    let value = |values: Vec<Cow<'_, str>>| match &values[..] {
        [only] => json!(only),
        several => json!(several),
    };
    pairs(query).into_iter().map(|(name, values)| (name.into_owned(), value(values))).collect()
}
