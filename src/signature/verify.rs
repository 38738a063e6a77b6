use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{
    algorithm::Algorithm,
    claims,
    facts::Facts,
    key::PublicKey,
    keyring::Keyring,
    refusal::{Refusal, RefusalKind},
    wording,
};
use crate::{
    account::Account,
    scope::Scope,
    signature_id::{SIGNATURE_HASH_BYTES, SignatureId},
};

/// The maximum length of a signature, in bytes.
pub const SIGNATURE_BYTES_MAX: usize = 8 * 1024;

/// How deep claims may nest: as deep as serde_json reads.
const CLAIMS_DEPTH_MAX: usize = 127;

/// The JOSE header (RFC 7515, 4.1). `jwk`, `jku`, `x5c` and `x5u` are ignored: a key is trusted because it is
/// registered, never because the token contains it.
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

/// `null` is not "absent", but a value of the wrong type.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What a good signature proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The account whose key signed exactly this request.
    pub account: Account,
    /// The id of the key.
    pub key_id: String,
    /// What the key may do.
    pub scope: Scope,
    /// Tells the signature from all others.
    pub signature: SignatureId,
}

/// Proves whose key signed exactly this request.
///
/// No claim is parsed before the signature is verified. Then all claims are checked, so that a refusal lists everything
/// that is wrong.
pub fn verify(token: &str, keyring: &Keyring, facts: &Facts<'_>) -> Result<Verified, Refusal> {
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
        Refusal::of_token(format!(
            "{COMPACT}; the header is not a JSON object with texts as alg, kid and typ"
        ))
    })?;
    let algorithm = accepted_algorithm(&header)?;

    let (key_id, key) = keyring.find(header.kid.as_deref(), facts.now).map_err(|refusal| {
        let renamed = header.kid.as_deref().and_then(|thumbprint| keyring.renamed(thumbprint, facts.now));
        match renamed {
            // Only who has the private key is told the id.
            Some((key_id, key))
                if check_signature(signature, message, &key.public_key, algorithm).is_ok() =>
            {
                Refusal::of_unknown_key(format!(
                    "this key is registered under another id: send {key_id} as kid"
                ))
            }
            _ => refusal,
        }
    })?;
    check_signature(signature, message, &key.public_key, algorithm)?;

    let claims: Map<String, Value> = decode(payload).ok_or_else(|| {
        Refusal::of_token(format!(
            "{COMPACT}; the claims are not a JSON object, or they nest deeper than {CLAIMS_DEPTH_MAX} levels"
        ))
    })?;
    let violations = claims::violations(&claims, facts);
    if !violations.is_empty() {
        return Err(Refusal::of_claims(violations));
    }
    let signature =
        SignatureId { expires_at: claims::expires_at(&claims), hash: hash(&key.public_key, message) };
    Ok(Verified { account: key.account.clone(), key_id: key_id.to_owned(), scope: key.scope, signature })
}

/// Identifies what was signed, and the key. The bytes of the signature do not count: with ECDSA, (r, n-s) is as good as
/// (r, s). The key counts by itself and not by its id, so that it cannot come back under another id.
fn hash(key: &PublicKey, message: &str) -> [u8; SIGNATURE_HASH_BYTES] {
    let mut context = Context::new(&SHA256);
    // The last line of the PEM ends the key.
    context.update(key.to_pem().as_bytes());
    context.update(message.as_bytes());
    let mut hash = [0; SIGNATURE_HASH_BYTES];
    hash.copy_from_slice(&context.finish().as_ref()[..SIGNATURE_HASH_BYTES]);
    hash
}

fn accepted_algorithm(header: &JoseHeader) -> Result<Algorithm, Refusal> {
    if header.crit.is_some() {
        return Err(Refusal::of_header(
            "crit",
            "crit lists extensions that this service does not support: leave it out",
        ));
    }
    if header.typ.as_ref().is_some_and(|typ| !is_jwt(typ)) {
        return Err(Refusal::of_header("typ", "typ must be JWT or application/jwt, or left out"));
    }
    let alg = header.alg.as_deref().unwrap_or_default();
    alg.parse().map_err(|_| Refusal::of_header("alg", "alg must be ES384 or ES256"))
}

/// A media type whose `application/` may be left out (RFC 7515, 4.1.9).
fn is_jwt(typ: &str) -> bool {
    ["JWT", "application/jwt"].iter().any(|name| typ.eq_ignore_ascii_case(name))
}

fn check_signature(
    signature: &str,
    message: &str,
    key: &PublicKey,
    algorithm: Algorithm,
) -> Result<(), Refusal> {
    // RFC 8725, 3.1: a key is used with one algorithm.
    if key.algorithm() != algorithm {
        return Err(Refusal::of(
            RefusalKind::BadSignature,
            "alg",
            format!("alg must be {}, the algorithm of the key", key.algorithm()),
        ));
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    if key.verifies(message.as_bytes(), &signature) {
        return Ok(());
    }
    let description = wording::does_not_verify(algorithm, signature.len());
    Err(Refusal::of(RefusalKind::BadSignature, "", description))
}

/// Reads a JSON object, where serde would also read a struct from an array.
fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    let json = str::from_utf8(&json).ok()?;
    let is_object = json.trim_ascii_start().starts_with('{');
    if is_object { serde_json::from_str(json).ok() } else { None }
}
