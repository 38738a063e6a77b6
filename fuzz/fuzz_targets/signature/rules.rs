//! The rules of `Api-Signature`, read once more from the documentation.

use aws_lc_rs::digest::{SHA256, digest};
use customers_api::signature::Facts;
use serde_json::Value;

use crate::{NOW, SIGNERS};

/// Whether a header leads to the key that signed, and that key may sign.
pub fn names_the_key(header: &Value, signer: usize, is_alone: bool) -> bool {
    let is_registered = !(is_alone && signer == 1);
    let signer = &SIGNERS[signer];
    let Value::Object(header) = header else { return false };
    let is_named = match header.get("kid") {
        Some(kid) => kid == signer.key_id,
        None => is_alone && signer.key_id == "a",
    };
    let typ = header.get("typ").map(|typ| typ.as_str().map(str::to_lowercase));
    is_registered
        && is_named
        && !signer.is_revoked
        && signer.expires_at.is_none_or(|expires_at| NOW < expires_at)
        && header.get("alg").is_some_and(|alg| alg == signer.key.algorithm().name())
        && typ.is_none_or(|typ| matches!(typ.as_deref(), Some("jwt" | "application/jwt")))
        && !header.contains_key("crit")
}

/// How deep claims may nest.
const DEPTH_MAX: usize = 127;

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Whether claims say what the request is.
pub fn are_facts(claims: &Value, facts: &Facts<'_>) -> bool {
    let now = facts.now as f64;
    let (Some(iat), Some(exp)) = (claims["iat"].as_f64(), claims["exp"].as_f64()) else { return false };
    let nbf = claims.get("nbf").map(Value::as_f64);
    let audience = &claims["aud"];
    claims.is_object()
        && depth(claims) <= DEPTH_MAX
        && (audience == facts.audience
            || audience.as_array().is_some_and(|names| names.contains(&facts.audience.into())))
        && iat <= now + 60.0
        && exp > now
        && exp - iat <= 900.0
        && nbf.is_none_or(|nbf| nbf.is_some_and(|nbf| nbf <= now + 60.0))
        && claims["method"] == facts.method
        && claims["path"] == facts.path
        && is_query(claims.get("queryParams"), facts.query)
        && is_hash(claims.get("bodyHash"), facts.body)
}

/// The pairs of both, each name with its values in their order; names in any order.
fn is_query(claim: Option<&Value>, query: &str) -> bool {
    let empty = serde_json::Map::new();
    let claimed = match claim {
        None => &empty,
        Some(Value::Object(claimed)) => claimed,
        Some(_) => return false,
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in claimed {
        let values = match value {
            Value::Array(values) if values.is_empty() => return false,
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            match value {
                Value::String(text) => pairs.push((name.clone(), text.clone())),
                Value::Number(number) => pairs.push((name.clone(), number.to_string())),
                _ => return false,
            }
        }
    }
    let mut sent: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    // Stable: the values of one name keep their order.
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    sent.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs == sent
}

fn is_hash(claim: Option<&Value>, body: &[u8]) -> bool {
    match claim {
        None => body.is_empty(),
        Some(claim) => {
            let hash = hex::encode(digest(&SHA256, body));
            claim.as_str().is_some_and(|text| text.eq_ignore_ascii_case(&hash))
        }
    }
}
