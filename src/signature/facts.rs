/// The maximum time from `iat` to `exp`, in seconds.
pub const EXPIRY_SECONDS_MAX: i64 = 900;

/// How far in the future `iat` may be, in seconds, because clocks differ.
pub(super) const FUTURE_SECONDS_MAX: i64 = 60;

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
    /// The base path, which a refusal may show.
    pub base_path: &'a str,
    /// The rest of the path with its parameters by name, which a refusal may show. The path itself holds what was sent.
    pub template: &'a str,
    /// The request's query without its `?`, still percent-encoded; empty if there is none.
    pub query: &'a str,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// Unix seconds as JSON has them.
#[allow(clippy::cast_precision_loss, reason = "Unix seconds are far below 2^52")]
pub(super) const fn seconds(unix: i64) -> f64 {
    unix as f64
}
