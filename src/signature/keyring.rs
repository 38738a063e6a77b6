use std::collections::HashMap;

use super::{
    key::PublicKey,
    refusal::{Refusal, RefusalKind},
};
use crate::{account::Account, scope::Scope};

/// A registered key.
#[derive(Clone)]
pub struct Key {
    /// The account that signs with it.
    pub account: Account,
    /// What verifies its signatures.
    pub public_key: PublicKey,
    /// What it may do.
    pub scope: Scope,
    /// From when on it is not accepted any more, in Unix seconds, if it expires.
    pub expires_at: Option<i64>,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// All registered keys, by key id.
#[derive(Default)]
pub struct Keyring(HashMap<String, Key>);

impl Key {
    fn has_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

impl Keyring {
    /// The key that `kid` names at this time in Unix seconds, and its id; without `kid`, the only active key.
    pub(super) fn find(&self, key_id: Option<&str>, now: i64) -> Result<(&String, &Key), Refusal> {
        let Some(key_id) = key_id else {
            let mut active = self.active(now);
            return match (active.next(), active.next()) {
                (Some(found), None) => Ok(found),
                (None, _) => Err(Refusal::of_unknown_key(
                    "no key is active: register one with `keys generate` or `keys add`",
                )),
                (Some(_), Some(_)) => Err(Refusal::of(
                    RefusalKind::AmbiguousKey,
                    "kid",
                    "several keys are active: send kid in the JOSE header",
                )),
            };
        };
        match self.0.get_key_value(key_id) {
            None => Err(Refusal::of_unknown_key(
                "kid is not the id of a registered key: send the id under which the key was registered",
            )),
            Some((_, key)) if key.is_revoked => Err(Refusal::of(
                RefusalKind::RevokedKey,
                "kid",
                "the key is revoked: sign with an active key",
            )),
            Some((_, key)) if key.has_expired(now) => Err(Refusal::of(
                RefusalKind::ExpiredKey,
                "kid",
                "the key has expired: sign with an active key",
            )),
            Some(found) => Ok(found),
        }
    }

    /// The active key of this thumbprint, and the id under which it is registered instead.
    pub(super) fn renamed(&self, thumbprint: &str, now: i64) -> Option<(&String, &Key)> {
        self.active(now)
            .find(|(key_id, key)| key.public_key.thumbprint() == thumbprint && *key_id != thumbprint)
    }

    /// A key by its id, active or not.
    pub fn get(&self, key_id: &str) -> Option<&Key> {
        self.0.get(key_id)
    }

    fn active(&self, now: i64) -> impl Iterator<Item = (&String, &Key)> {
        self.0.iter().filter(move |(_, key)| !key.is_revoked && !key.has_expired(now))
    }
}

impl FromIterator<(String, Key)> for Keyring {
    fn from_iter<I: IntoIterator<Item = (String, Key)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}
