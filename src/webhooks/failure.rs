//! Why a request was not accepted, in words that say nothing of the URL or of the answer.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use super::target::TargetError;

/// A longer `Retry-After` counts as this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// A request that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// How long the receiver wants to be left alone, if it said so with 429 or 503.
    pub retry_after: Option<Duration>,
}

/// What happened to a request that was not accepted. Its text is one word, or the status: it is kept and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name of the host does not resolve.
    Unresolved,
    /// Requests may not go to the address.
    Address,
    /// No connection came about.
    Connect,
    /// The TLS handshake failed; the certificate, for example, has expired or is for another name.
    Tls,
    /// There was no complete head in time.
    Timeout,
    /// The connection ended before the head was complete.
    Closed,
    /// The answer is not HTTP/1.1, or its head is too large.
    Protocol,
    /// The status of the answer is not 2xx.
    Status(u16),
}

/// The kinds that have a word.
const WORDS: [(FailureKind, &str); 7] = [
    (FailureKind::Unresolved, "unresolved"),
    (FailureKind::Address, "address"),
    (FailureKind::Connect, "connect"),
    (FailureKind::Tls, "tls"),
    (FailureKind::Timeout, "timeout"),
    (FailureKind::Closed, "closed"),
    (FailureKind::Protocol, "protocol"),
];

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, WORDS.iter().find(|(kind, _)| kind == self)) {
            (Self::Status(status), _) => write!(formatter, "{status}"),
            (_, Some((_, word))) => formatter.write_str(word),
            (_, None) => Err(fmt::Error),
        }
    }
}

/// This is not the text of a kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of failure")]
pub struct UnknownFailureKind;

impl FromStr for FailureKind {
    type Err = UnknownFailureKind;

    fn from_str(text: &str) -> Result<Self, UnknownFailureKind> {
        if let Some((kind, _)) = WORDS.iter().find(|(_, word)| *word == text) {
            return Ok(*kind);
        }
        let status = StatusCode::from_bytes(text.as_bytes()).map_err(|_| UnknownFailureKind)?;
        Ok(Self::Status(status.as_u16()))
    }
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self { kind, retry_after: None }
    }
}

impl From<TargetError> for FailureKind {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Unresolved => Self::Unresolved,
            TargetError::NotPublic => Self::Address,
        }
    }
}

/// What a complete head says of the request.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let asks_to_wait = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = headers.get(RETRY_AFTER).filter(|_| asks_to_wait);
    let retry_after = retry_after.and_then(|value| wait(value.to_str().ok()?, now));
    Err(Failure { kind: FailureKind::Status(status.as_u16()), retry_after })
}

/// The time that `Retry-After` asks for: seconds, or until a date.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let is_seconds = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_seconds {
        // A number that is too large for the type is also too long to wait.
        value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_text_of_a_kind_names_it() {
        for (kind, word) in WORDS {
            assert_eq!(kind.to_string(), word);
            assert_eq!(word.parse(), Ok(kind));
        }
        for status in [100, 301, 410, 500, 999] {
            let kind = FailureKind::Status(status);
            assert_eq!(kind.to_string(), status.to_string());
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for text in ["", "Timeout", "timeout ", "99", "1000", "-10", "５00"] {
            assert_eq!(text.parse::<FailureKind>(), Err(UnknownFailureKind), "{text}");
        }
    }

    fn judged(status: u16, retry_after: &str) -> Result<(), Failure> {
        // A second before Sun, 06 Nov 1994 08:49:37 GMT.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_776);
        let value = HeaderValue::from_bytes(retry_after.as_bytes()).unwrap();
        judge(status.try_into().unwrap(), &HeaderMap::from_iter([(RETRY_AFTER, value)]), now)
    }

    #[test]
    fn only_2xx_is_success() {
        for status in [200, 201, 202, 204, 206, 299] {
            assert_eq!(judged(status, "7"), Ok(()), "{status}");
        }
        for status in [100, 101, 199, 300, 301, 304, 400, 404, 410, 500, 502, 504, 999] {
            assert_eq!(judged(status, "7"), Err(FailureKind::Status(status).into()), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_half_a_day() {
        const HALF_A_DAY: u64 = 12 * 60 * 60;
        for (value, seconds) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("007", Some(7)),
            ("43200", Some(HALF_A_DAY)),
            ("43201", Some(HALF_A_DAY)),
            ("18446744073709551616", Some(HALF_A_DAY)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(1)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(1)),
            ("Sun Nov  6 08:49:37 1994", Some(1)),
            ("Wed, 21 Oct 2065 07:28:00 GMT", Some(HALF_A_DAY)),
            ("Sun, 06 Nov 1994 08:49:35 GMT", None),
            ("", None),
            ("-7", None),
            ("+7", None),
            ("7.5", None),
            ("7 s", None),
            ("7, 8", None),
            ("soon", None),
            ("７", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ] {
            for status in [429, 503] {
                let retry_after = seconds.map(Duration::from_secs);
                let expected = Failure { kind: FailureKind::Status(status), retry_after };
                assert_eq!(judged(status, value), Err(expected), "{status} {value}");
            }
        }
    }
}
