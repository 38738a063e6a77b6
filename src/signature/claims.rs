//! The claims of `Api-Signature`, and the rule of each.

use std::{borrow::Cow, collections::BTreeMap};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::{
    facts::{EXPIRY_SECONDS_MAX, FUTURE_SECONDS_MAX, Facts, seconds},
    refusal::Violation,
    wording::{self, QueryDifference},
};

/// The query as it was sent: its names, each with its decoded values in order.
pub(super) type Query<'a> = BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>;

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
    check("method", method(claims.get("method"), facts.method));
    check("path", path(claims.get("path"), facts));
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
    if is_meant { Ok(()) } else { Err(wording::audience(claim, audience)) }
}

/// RFC 7519, 4.1.6.
fn issued_at(claim: Option<&Value>, now: i64) -> Result<(), String> {
    match claim.and_then(Value::as_f64) {
        None => Err(wording::not_a_time("iat", claim, "the Unix time in seconds at which you sign")),
        Some(iat) if iat > seconds(now + FUTURE_SECONDS_MAX) => Err(wording::ahead("iat", iat, now)),
        Some(_) => Ok(()),
    }
}

/// RFC 7519, 4.1.4.
fn expiry(claim: Option<&Value>, iat: Option<&Value>, now: i64) -> Result<(), String> {
    let iat = iat.and_then(Value::as_f64);
    let Some(exp) = claim.and_then(Value::as_f64) else {
        return Err(wording::not_a_time("exp", claim, "a Unix time in seconds, at most 900 after iat"));
    };
    if exp <= seconds(now) {
        return Err(wording::expired(exp, iat, now));
    }
    match iat {
        Some(iat) if exp - iat > seconds(EXPIRY_SECONDS_MAX) => Err(wording::too_long(exp - iat)),
        _ => Ok(()),
    }
}

/// RFC 7519, 4.1.5: optional, but binding where it is sent.
fn not_before(claim: Option<&Value>, now: i64) -> Result<(), String> {
    match claim.map(Value::as_f64) {
        Some(None) => Err(wording::not_a_time("nbf", claim, "a Unix time in seconds, or leave it out")),
        Some(Some(nbf)) if nbf > seconds(now + FUTURE_SECONDS_MAX) => Err(wording::ahead("nbf", nbf, now)),
        None | Some(Some(_)) => Ok(()),
    }
}

fn method(claim: Option<&Value>, method: &str) -> Result<(), String> {
    let is_equal = matches!(claim, Some(Value::String(text)) if text == method);
    if is_equal { Ok(()) } else { Err(wording::method(claim, method)) }
}

fn path(claim: Option<&Value>, facts: &Facts<'_>) -> Result<(), String> {
    let is_equal = matches!(claim, Some(Value::String(text)) if text == facts.path);
    if is_equal { Ok(()) } else { Err(wording::path(claim, facts)) }
}

fn query_params(claim: Option<&Value>, query: &str) -> Result<(), String> {
    let pairs = pairs(query);
    match claim {
        None if pairs.is_empty() => Ok(()),
        None => Err(wording::query_params_missing(pairs.len())),
        Some(Value::Object(claimed)) => match difference(claimed, &pairs) {
            QueryDifference { lacks: 0, more: 0, others: 0 } => Ok(()),
            difference => Err(wording::query_params(&difference, pairs.len())),
        },
        Some(_) => Err(wording::query_params_not_an_object(pairs.len())),
    }
}

fn difference(claimed: &Map<String, Value>, query: &Query<'_>) -> QueryDifference {
    let same = query.iter().filter_map(|(name, values)| Some((claimed.get(name.as_ref())?, values)));
    let equal = same.clone().filter(|(claimed, values)| are_values(claimed, values)).count();
    let same = same.count();
    QueryDifference { lacks: query.len() - same, more: claimed.len() - same, others: same - equal }
}

/// The decoded values of each query parameter.
pub(super) fn pairs(query: &str) -> Query<'_> {
    let mut pairs = Query::new();
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
        _ => Err(wording::body_hash(claim, body.len())),
    }
}

/// The SHA-256 of these bytes in hexadecimal digits, in lower case.
pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let (halves, _) = digest.as_ref().as_chunks();
    halves.iter().map(|half| format!("{:032x}", u128::from_be_bytes(*half))).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn each_time_has_its_bound_to_the_second_and_to_less() {
        for (ahead, is_right) in
            [(json!(NOW + 60), true), (json!(1_700_000_060.5), false), (json!(NOW + 61), false)]
        {
            assert_eq!(issued_at(Some(&ahead), NOW).is_ok(), is_right, "iat {ahead}");
            assert_eq!(not_before(Some(&ahead), NOW).is_ok(), is_right, "nbf {ahead}");
        }
        for (exp, is_right) in [(json!(NOW), false), (json!(1_700_000_000.5), true), (json!(NOW + 1), true)] {
            assert_eq!(expiry(Some(&exp), Some(&json!(NOW - 1)), NOW).is_ok(), is_right, "exp {exp}");
        }
        for (life, is_right) in
            [(json!(NOW + 900), true), (json!(1_700_000_900.5), false), (json!(NOW + 901), false)]
        {
            assert_eq!(expiry(Some(&life), Some(&json!(NOW)), NOW).is_ok(), is_right, "exp {life}");
        }
    }

    #[test]
    fn a_signature_is_remembered_until_the_end_of_the_second_in_which_it_expires() {
        for (exp, expires_at_second) in [(json!(NOW), NOW), (json!(1_700_000_000.25), NOW + 1)] {
            let claims = Map::from_iter([("exp".to_owned(), exp)]);
            assert_eq!(expires_at(&claims), expires_at_second);
        }
    }
}
