use std::{fmt, str::FromStr};

/// The prefix of the contract's paths: empty, or segments such as `/api/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasePath(String);

/// Why a text is not a [`BasePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be / or segments such as /api/v1, of letters, digits, '-', '.', '_' and '~'")]
pub struct InvalidBasePath;

impl BasePath {
    /// The segments, each after a `/`. Empty if there are no segments.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix with a `/` at its end.
    pub fn with_slash(&self) -> String {
        format!("{}/", self.0)
    }
}

impl FromStr for BasePath {
    type Err = InvalidBasePath;

    fn from_str(text: &str) -> Result<Self, InvalidBasePath> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let is_segment = |segment: &str| {
            !segment.is_empty() && !matches!(segment, "." | "..") && segment.bytes().all(unreserved)
        };
        let is_path = match path.split_once('/') {
            None => text == "/",
            Some((before, segments)) => before.is_empty() && segments.split('/').all(is_segment),
        };
        if is_path { Ok(Self(path.to_owned())) } else { Err(InvalidBasePath) }
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}
