//! Where the next page begins, as an opaque text that only this service can make.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use crate::{
    account::Account,
    model::{CustomerId, SortDirection, Timestamp},
    store::Position,
};

const MAC_BYTES: usize = 32;

/// Makes and reads page tokens.
pub struct PageTokens(Key);

/// What a token holds.
#[derive(Serialize, Deserialize)]
struct Place(SortDirection, i64, String);

impl PageTokens {
    /// With the secret that all replicas share.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, secret))
    }

    pub(super) fn seal(
        &self,
        account: &Account,
        direction: SortDirection,
        position: Position,
    ) -> Result<String, ApiError> {
        let Position { created, customer_id } = position;
        let place = Place(direction, created.micros(), customer_id.into_string());
        let mut token = serde_json::to_vec(&place).map_err(|error| ApiError::Internal(error.into()))?;
        let mac = sign(&self.0, &authenticated(account, &token));
        token.extend_from_slice(mac.as_ref());
        Ok(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    /// The place that a token of this account stands for; `None` if it is not one that was given to it.
    pub(super) fn open(&self, account: &Account, token: &str) -> Option<(SortDirection, Position)> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (place, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        verify(&self.0, &authenticated(account, place), mac).ok()?;
        let Place(direction, created, customer_id) = serde_json::from_slice(place).ok()?;
        let customer_id = CustomerId::try_from(customer_id).ok()?;
        Some((direction, Position { created: Timestamp::from_micros(created)?, customer_id }))
    }
}

/// A token is bound to the account that it was given to. No account's name holds U+0000.
fn authenticated(account: &Account, place: &[u8]) -> Vec<u8> {
    [account.as_str().as_bytes(), b"\0", place].concat()
}
