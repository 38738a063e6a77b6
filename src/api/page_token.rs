//! Page tokens: where the next page begins, as an opaque text that only this service can make.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use crate::{
    account::Account,
    model::{CustomerId, SortDirection, Timestamp},
    store::{Position, Snapshot},
};

/// The length of the key that authenticates page tokens.
pub(super) const PAGE_TOKEN_KEY_BYTES: usize = 32;

const MAC_BYTES: usize = 32;

pub(super) struct PageTokens(Key);

/// Why a page token cannot be read: it was not made for this account, or it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the PageToken of an earlier response, unchanged")]
pub(super) struct InvalidPageToken;

#[derive(Serialize, Deserialize)]
struct Content(SortDirection, i64, String, String);

impl PageTokens {
    /// The key is the same for all replicas.
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, key))
    }

    pub(super) fn issue(
        &self,
        account: &Account,
        direction: SortDirection,
        position: Position,
    ) -> Result<String, ApiError> {
        let Position { created, customer_id, snapshot } = position;
        let content = Content(direction, created.micros(), customer_id.into_string(), snapshot.0);
        let mut token = serde_json::to_vec(&content).map_err(|error| ApiError::Internal(error.into()))?;
        let mac = sign(&self.0, &authenticated(account, &token));
        token.extend_from_slice(mac.as_ref());
        Ok(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    /// The position that a token of this account stands for.
    pub(super) fn read(
        &self,
        account: &Account,
        token: &str,
    ) -> Result<(SortDirection, Position), InvalidPageToken> {
        self.decode(account, token).ok_or(InvalidPageToken)
    }

    fn decode(&self, account: &Account, token: &str) -> Option<(SortDirection, Position)> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        verify(&self.0, &authenticated(account, content), mac).ok()?;
        let Content(direction, created, customer_id, snapshot) = serde_json::from_slice(content).ok()?;
        let customer_id = CustomerId::try_from(customer_id).ok()?;
        let created = Timestamp::from_micros(created)?;
        Some((direction, Position { created, customer_id, snapshot: Snapshot(snapshot) }))
    }
}

/// A token is bound to its account. The name of an account never contains U+0000.
fn authenticated(account: &Account, content: &[u8]) -> Vec<u8> {
    [account.as_str().as_bytes(), b"\0", content].concat()
}
