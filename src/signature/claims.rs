//! The claims of `Api-Signature`, and the rule of each.

use std::{borrow::Cow, collections::BTreeMap, fmt::Display};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::refusal::Violation;

/// The maximum time from `iat` to `exp`, in seconds.
pub const EXPIRY_SECONDS_MAX: i64 = 900;

/// How far in the future `iat` may be, in seconds, because clocks differ.
const FUTURE_SECONDS_MAX: i64 = 60;

/// What a signature must match: the request as it was sent, and what the verifier knows.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The audience that the token must name.
    pub audience: &'a str,
    /// Unix time in seconds.
    pub now: i64,
    /// The request's method.
    pub method: &'a str,
    /// The request's path, still percent-encoded, base path included.
    pub path: &'a str,
    /// The request's query without its `?`, still percent-encoded; empty if there is none.
    pub query: &'a str,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// When a signature with these claims expires, rounded up to a second. The claims must be without violations.
#[allow(
    clippy::cast_possible_truncation,
    reason = "without violations, `exp` is at most some minutes from now"
)]
pub(super) fn expires_at(claims: &Map<String, Value>) -> i64 {
    claims.get("exp").and_then(Value::as_f64).unwrap_or_default().ceil() as i64
}

/// Everything that is wrong with these claims.
pub(super) fn violations(claims: &Map<String, Value>, facts: &Facts<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut check = |claim: &'static str, checked: Result<(), String>| {
        if let Err(description) = checked {
            violations.push(Violation { claim, description });
        }
    };
    check("aud", audience(claims.get("aud"), facts.audience));
    check("iat", issued_at(claims.get("iat"), facts.now));
    check("exp", expiry(claims.get("exp"), claims.get("iat"), facts.now));
    check("nbf", not_before(claims.get("nbf"), facts.now));
    check("method", equals("method", claims.get("method"), facts.method, "the method of the request"));
    check(
        "path",
        equals("path", claims.get("path"), facts.path, "the path of the request exactly as it is sent"),
    );
    check("queryParams", query_params(claims.get("queryParams"), facts.query));
    check("bodyHash", body_hash(claims.get("bodyHash"), facts.body));
    violations
}

/// RFC 7519, 4.1.3: one name, or a list that holds it.
fn audience(claim: Option<&Value>, audience: &str) -> Result<(), String> {
    let is_meant = match claim {
        Some(Value::String(name)) => name == audience,
        Some(Value::Array(names)) => names.iter().any(|name| name == audience),
        _ => false,
    };
    if is_meant { Ok(()) } else { Err(wrong("aud", claim, format!("send \"{audience}\""))) }
}

/// RFC 7519, 4.1.6.
#[allow(clippy::cast_precision_loss, reason = "Unix seconds are far below 2^52")]
fn issued_at(claim: Option<&Value>, now: i64) -> Result<(), String> {
    match claim.and_then(Value::as_f64) {
        None => Err(wrong("iat", claim, "send the Unix time in seconds at which you sign")),
        Some(iat) if iat > (now + FUTURE_SECONDS_MAX) as f64 => Err(format!(
            "iat is more than {FUTURE_SECONDS_MAX} seconds in the future: correct the clock of the sender"
        )),
        Some(_) => Ok(()),
    }
}

/// RFC 7519, 4.1.4.
#[allow(clippy::cast_precision_loss, reason = "Unix seconds are far below 2^52")]
fn expiry(claim: Option<&Value>, iat: Option<&Value>, now: i64) -> Result<(), String> {
    let Some(exp) = claim.and_then(Value::as_f64) else {
        let send = format!("send a Unix time in seconds, at most {EXPIRY_SECONDS_MAX} after iat");
        return Err(wrong("exp", claim, send));
    };
    if exp <= now as f64 {
        return Err("exp is in the past: sign the request again".to_owned());
    }
    match iat.and_then(Value::as_f64) {
        Some(iat) if exp - iat > EXPIRY_SECONDS_MAX as f64 => {
            Err(format!("exp is more than {EXPIRY_SECONDS_MAX} seconds after iat: send an earlier exp"))
        }
        _ => Ok(()),
    }
}

/// RFC 7519, 4.1.5: optional, but binding where it is sent.
#[allow(clippy::cast_precision_loss, reason = "Unix seconds are far below 2^52")]
fn not_before(claim: Option<&Value>, now: i64) -> Result<(), String> {
    match claim.map(Value::as_f64) {
        Some(None) => Err(wrong("nbf", claim, "send a Unix time in seconds, or leave it out")),
        Some(Some(nbf)) if nbf > (now + FUTURE_SECONDS_MAX) as f64 => {
            Err("nbf is in the future: send the request later, or leave nbf out".to_owned())
        }
        None | Some(Some(_)) => Ok(()),
    }
}

fn equals(name: &str, claim: Option<&Value>, value: &str, what: &str) -> Result<(), String> {
    match claim {
        Some(Value::String(text)) if text == value => Ok(()),
        _ => Err(wrong(name, claim, format!("send {what}"))),
    }
}

fn query_params(claim: Option<&Value>, query: &str) -> Result<(), String> {
    let pairs = pairs(query);
    let is_equal = match claim {
        None => pairs.is_empty(),
        Some(Value::Object(claimed)) => {
            claimed.len() == pairs.len()
                && pairs.iter().all(|(name, values)| {
                    claimed.get(name.as_ref()).is_some_and(|claimed| are_values(claimed, values))
                })
        }
        Some(_) => false,
    };
    let send = "send an object with the name and the decoded value of each query parameter; without a query, \
                leave it out";
    if is_equal { Ok(()) } else { Err(wrong("queryParams", claim, send)) }
}

/// The decoded values of each query parameter.
pub(super) fn pairs(query: &str) -> BTreeMap<Cow<'_, str>, Vec<Cow<'_, str>>> {
    let mut pairs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        pairs.entry(name).or_default().push(value);
    }
    pairs
}

/// One value stands for itself, a list for a name that is given several times, in order.
fn are_values(claim: &Value, values: &[Cow<'_, str>]) -> bool {
    let is_value = |claim: &Value, value: &str| match claim {
        Value::String(text) => text == value,
        Value::Number(number) => number.to_string() == value,
        _ => false,
    };
    match (claim, values) {
        (Value::Array(claims), _) => {
            claims.len() == values.len()
                && claims.iter().zip(values).all(|(claim, value)| is_value(claim, value))
        }
        (_, [value]) => is_value(claim, value),
        _ => false,
    }
}

fn body_hash(claim: Option<&Value>, body: &[u8]) -> Result<(), String> {
    match claim {
        None if body.is_empty() => Ok(()),
        Some(Value::String(text)) if text.eq_ignore_ascii_case(&hex_sha256(body)) => Ok(()),
        Some(Value::String(_)) => {
            Err("bodyHash is not the SHA-256 of this body: send the hex SHA-256 of its exact bytes"
                .to_owned())
        }
        _ => Err(wrong("bodyHash", claim, "send the hex SHA-256 of the exact body bytes")),
    }
}

/// The SHA-256 of these bytes in hexadecimal digits, in lower case.
pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let (halves, _) = digest.as_ref().as_chunks();
    halves.iter().map(|half| format!("{:032x}", u128::from_be_bytes(*half))).collect()
}

fn wrong(name: &str, claim: Option<&Value>, send: impl Display) -> String {
    let problem = if claim.is_none() { "is missing" } else { "is wrong" };
    format!("{name} {problem}: {send}")
}
