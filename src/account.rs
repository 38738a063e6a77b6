//! The account: who owns keys and customers.

use std::{str::FromStr, sync::Arc};

use derive_more::Display;

const ACCOUNT_CHARS_MAX: usize = 64;

/// The name of the account that owns a signing key, and every customer put with it.
///
/// 1 to 64 characters, each an ASCII letter, a digit, `.`, `_` or `-`. Cheap to clone.
#[derive(Debug, Display, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(Arc<str>);

impl Account {
    /// The account of unsigned requests in the sandbox.
    pub fn sandbox() -> Self {
        Self(Arc::from("sandbox"))
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account name has 1 to {ACCOUNT_CHARS_MAX} characters: ASCII letters, digits, '.', '_' or '-'")]
pub struct InvalidAccount;

impl FromStr for Account {
    type Err = InvalidAccount;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=ACCOUNT_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(Arc::from(name)))
        } else {
            Err(InvalidAccount)
        }
    }
}
