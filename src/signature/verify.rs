use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Algorithm, Facts, Keyring, PublicKey, Refusal, claims};
use crate::account::Account;

/// The longest signature that is looked at, in bytes.
pub const SIGNATURE_BYTES_MAX: usize = 8 * 1024;

/// How deep claims may nest: what serde_json reads, because the stack is finite.
const CLAIMS_DEPTH_MAX: usize = 127;

/// The JOSE header (RFC 7515, 4.1), as far as it is heeded. `jwk`, `jku`, `x5c` and `x5u` are not: a key is believed
/// because it is registered, never because the token brings it along.
#[derive(Default, Deserialize)]
#[serde(default)]
struct JoseHeader {
    #[serde(deserialize_with = "present")]
    alg: Option<String>,
    #[serde(deserialize_with = "present")]
    kid: Option<String>,
    #[serde(deserialize_with = "present")]
    typ: Option<String>,
    #[serde(deserialize_with = "present")]
    crit: Option<Value>,
}

/// `null` is not "absent": it is a value, and of the wrong type.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Proves that the owner of a registered key signed exactly this request; gives the owner's account.
///
/// The signature is checked before any claim is read, then all claims, so that a refusal names all that is wrong.
pub fn verify(token: &str, keyring: &Keyring, facts: &Facts<'_>) -> Result<Account, Refusal> {
    const COMPACT: &str =
        "Api-Signature must be a JWS in compact form: header.claims.signature, each in base64url";
    if token.len() > SIGNATURE_BYTES_MAX {
        return Err(Refusal::of_token(format!(
            "Api-Signature must be at most {SIGNATURE_BYTES_MAX} bytes long"
        )));
    }
    let (message, signature) = token.rsplit_once('.').ok_or_else(|| Refusal::of_token(COMPACT))?;
    let (header, payload) = message.split_once('.').ok_or_else(|| Refusal::of_token(COMPACT))?;
    let header: JoseHeader = decode(header).ok_or_else(|| {
        Refusal::of_token(format!("{COMPACT}; the header is not a JSON object of that form"))
    })?;
    let algorithm = accepted_algorithm(&header)?;

    let key = keyring.find(header.kid.as_deref())?;
    check_signature(signature, message, &key.public_key, algorithm)?;

    let claims: Map<String, Value> = decode(payload).ok_or_else(|| {
        Refusal::of_token(format!(
            "{COMPACT}; the claims are not a JSON object, or nest deeper than {CLAIMS_DEPTH_MAX} levels"
        ))
    })?;
    let faults = claims::faults(&claims, facts);
    if faults.is_empty() { Ok(key.account.clone()) } else { Err(Refusal::of_claims(faults)) }
}

fn accepted_algorithm(header: &JoseHeader) -> Result<Algorithm, Refusal> {
    if header.crit.is_some() {
        return Err(Refusal::of("crit", "crit names extensions that are not understood here: leave it out"));
    }
    if header.typ.as_ref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err(Refusal::of("typ", "typ must be JWT or absent"));
    }
    let alg = header.alg.as_deref().unwrap_or_default();
    alg.parse().map_err(|_| Refusal::of("alg", "alg must be ES384 or ES256"))
}

fn check_signature(
    signature: &str,
    message: &str,
    key: &PublicKey,
    algorithm: Algorithm,
) -> Result<(), Refusal> {
    // RFC 8725, 3.1: a key is used with its own algorithm alone.
    if key.algorithm() != algorithm {
        return Err(Refusal::of(
            "alg",
            format!("alg must be {}, the algorithm of this key", key.algorithm()),
        ));
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
    if signature.is_ok_and(|signature| key.verifies(message.as_bytes(), &signature)) {
        return Ok(());
    }
    Err(Refusal::of_token(
        "Api-Signature does not verify under this key: sign with its private half, over the token as sent",
    ))
}

/// Reads a JSON object. serde would also read a struct from an array.
fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    let json = str::from_utf8(&json).ok()?;
    let is_object = json.trim_ascii_start().starts_with('{');
    if is_object { serde_json::from_str(json).ok() } else { None }
}
