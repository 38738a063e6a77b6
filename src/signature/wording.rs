//! What a refusal says about each claim: what is wrong, what the verifier saw, and what to send instead.
//!
//! A text repeats nothing of the claims and nothing that the client chose: no id, no name, no value. Its length is bounded.

use std::fmt::Display;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{
    algorithm::Algorithm,
    facts::{EXPIRY_SECONDS_MAX, FUTURE_SECONDS_MAX, Facts, seconds},
};

/// Where the clock of the server can be read.
const COMPARE: &str = "compare your clock with Date of this response";

pub(super) fn audience(claim: Option<&Value>, audience: &str) -> String {
    let problem = problem(claim);
    format!("aud {problem}: send \"{audience}\", the audience of this server")
}

pub(super) fn method(claim: Option<&Value>, method: &str) -> String {
    let problem = problem(claim);
    format!("method {problem}: the server saw {method}; sign the method that you send, in capital letters")
}

/// A time that is missing or not a number.
pub(super) fn not_a_time(name: &str, claim: Option<&Value>, send: &str) -> String {
    let problem = claim.map_or("is missing", |_| "is not a number");
    format!("{name} {problem}: send {send}")
}

/// A time that is too far in the future.
pub(super) fn ahead(name: &str, time: f64, now: i64) -> String {
    let ahead = span(time - seconds(now));
    // A time in milliseconds is a thousand times as large as one in seconds.
    let advice = if time > 100.0 * seconds(now) {
        "send seconds, not milliseconds".to_owned()
    } else {
        format!("if that was the time when you signed, your clock is fast: {COMPARE}")
    };
    format!(
        "{name} is {ahead} ahead of the server's clock, at most {FUTURE_SECONDS_MAX} seconds are allowed; {advice}"
    )
}

pub(super) fn expired(exp: f64, iat: Option<f64>, now: i64) -> String {
    let ago = |time: f64| seconds(now) - time;
    let past = span(ago(exp));
    let advice = match iat.map(ago) {
        Some(age) if age >= 1.0 => {
            format!("; if you signed it just now, your clock is {} slow: {COMPARE}", span(age))
        }
        _ => String::new(),
    };
    format!("exp is {past} in the past, by the server's clock: sign the request again{advice}")
}

/// A life that is longer than allowed.
pub(super) fn too_long(life: f64) -> String {
    let life = span(life);
    format!("exp is {life} after iat: more than {EXPIRY_SECONDS_MAX} seconds after iat are not allowed")
}

pub(super) fn path(claim: Option<&Value>, facts: &Facts<'_>) -> String {
    let Facts { path, base_path, template, .. } = *facts;
    let saw = format!("the server saw {base_path}{template}");
    let Some(Value::String(signed)) = claim else {
        let problem = problem(claim);
        return format!("path {problem}: {saw}; sign the path of this request exactly as it is sent");
    };
    let is_query = |rest: &str| rest.starts_with(['?', '#']);
    if signed.contains("://") {
        format!("path holds a scheme and a host: {saw}; sign the path alone")
    } else if signed.strip_prefix(path).is_some_and(is_query) {
        format!("path holds the query: {saw}; sign the query as queryParams")
    } else if signed.ends_with(path) {
        format!(
            "path has a prefix that the server did not see: {saw}; something on the way, such as a proxy, removed it: \
             sign the path without it, or let the proxy keep it and serve with --base-path"
        )
    } else if !base_path.is_empty() && path.strip_prefix(base_path) == Some(signed) {
        format!("path lacks the base path: {saw}; sign it with {base_path}")
    } else if signed.len() > 1 && path.ends_with(signed.as_str()) {
        format!(
            "path lacks a prefix that the server saw: {saw}; something on the way, such as a proxy, added it: sign the \
             path with it"
        )
    } else if percent_decode_str(signed).eq(percent_decode_str(path)) {
        format!(
            "path is percent-encoded in another way than it was sent: {saw}; sign it exactly as it is sent"
        )
    } else {
        format!("path is wrong: {saw}; sign the path of this request exactly as it is sent")
    }
}

/// How the object `queryParams` differs from the query.
pub(super) struct QueryDifference {
    /// How many names of the query it does not have.
    pub(super) lacks: usize,
    /// How many names it has that are not in the query.
    pub(super) more: usize,
    /// How many names it has with another value.
    pub(super) others: usize,
}

const SEND_QUERY: &str = "send an object with each name and its decoded value, or an array of its values";

pub(super) fn query_params(difference: &QueryDifference, names: usize) -> String {
    let QueryDifference { lacks, more, others } = difference;
    let saw = saw_query(names);
    if names == 0 {
        return format!("queryParams is wrong: {saw}; leave it out, or send the query");
    }
    format!(
        "queryParams is wrong: {saw}; of these it lacks {lacks}, {others} have another value, and {more} more are in it; \
         {SEND_QUERY}"
    )
}

pub(super) fn query_params_missing(names: usize) -> String {
    format!("queryParams is missing: {}; {SEND_QUERY}", saw_query(names))
}

pub(super) fn query_params_not_an_object(names: usize) -> String {
    format!(
        "queryParams is not an object: {}; {SEND_QUERY}, or leave it out without a query",
        saw_query(names)
    )
}

fn saw_query(names: usize) -> String {
    if names == 0 {
        "the server saw no query".to_owned()
    } else {
        format!("the server saw a query with {}", count(names, "name"))
    }
}

pub(super) fn body_hash(claim: Option<&Value>, length: usize) -> String {
    const SEND: &str = "send the hex SHA-256 of its exact bytes";
    let saw = format!("the server saw a body of {}", count(length, "byte"));
    match claim {
        Some(_) if length == 0 => {
            "bodyHash is wrong: the server saw no body; leave it out, or send the body".to_owned()
        }
        None => format!("bodyHash is missing: {saw}; {SEND}"),
        Some(Value::String(text))
            if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            format!("bodyHash is not the SHA-256 of this body: {saw}; {SEND}")
        }
        Some(_) => format!("bodyHash is not 64 hexadecimal digits: {saw}; {SEND}"),
    }
}

pub(super) fn does_not_verify(algorithm: Algorithm, length: usize) -> String {
    let expected = algorithm.signature_bytes();
    if length == expected {
        "Api-Signature does not verify with this key: sign exactly the header and the claims that you send, with the \
         private key of this kid"
            .to_owned()
    } else {
        format!(
            "Api-Signature does not verify: its third part must be {expected} bytes in base64url, r and s of ECDSA side \
             by side, as RFC 7518 says for {algorithm}, and not DER"
        )
    }
}

fn problem(claim: Option<&Value>) -> &'static str {
    if claim.is_none() { "is missing" } else { "is wrong" }
}

/// A time between two moments, in words.
fn span(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    if seconds < 2.0 * MINUTE {
        count(seconds.ceil(), "second")
    } else if seconds < 2.0 * HOUR {
        count((seconds / MINUTE).round(), "minute")
    } else if seconds < 2.0 * DAY {
        count((seconds / HOUR).round(), "hour")
    } else {
        "more than 2 days".to_owned()
    }
}

/// A number and what it counts.
fn count<N: Display>(number: N, what: &str) -> String {
    let text = number.to_string();
    let plural = if text == "1" { "" } else { "s" };
    format!("{text} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_span_is_told_in_the_largest_fitting_unit() {
        for (seconds, text) in [
            (0.0, "0 seconds"),
            (0.2, "1 second"),
            (119.5, "120 seconds"),
            (125.0, "2 minutes"),
            (619.0, "10 minutes"),
            (7200.0, "2 hours"),
            (172_800.0, "more than 2 days"),
            (1e300, "more than 2 days"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
