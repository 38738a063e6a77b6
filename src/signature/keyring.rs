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
pub struct Keyring {
    keys: HashMap<String, Key>,
    /// The ids of the two keys that are active longest: they decide which key verifies a token without `kid`.
    last_active: Vec<String>,
    /// The ids of keys that are not their thumbprints, by thumbprint, and without the revoked ones.
    renamed: HashMap<String, String>,
}

impl Key {
    fn is_active(&self, now: i64) -> bool {
        !self.is_revoked && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl Keyring {
    /// The key that `kid` names, and its id; without `kid`, the only active key. `now` is in Unix seconds.
    pub(super) fn find(&self, key_id: Option<&str>, now: i64) -> Result<(&str, &Key), Refusal> {
        let Some(key_id) = key_id else { return self.find_only_active(now) };
        let refused = |kind, description| Err(Refusal::of(kind, "kid", description));
        match self.keys.get_key_value(key_id) {
            None => Err(Refusal::of_unknown_key(
                "kid is not the id of a registered key: send the id under which the key was registered",
            )),
            Some((_, key)) if key.is_revoked => {
                refused(RefusalKind::RevokedKey, "the key is revoked: sign with an active key")
            }
            Some((_, key)) if !key.is_active(now) => {
                refused(RefusalKind::ExpiredKey, "the key has expired: sign with an active key")
            }
            Some((key_id, key)) => Ok((key_id, key)),
        }
    }

    fn find_only_active(&self, now: i64) -> Result<(&str, &Key), Refusal> {
        let keys = self.last_active.iter().filter_map(|key_id| self.keys.get_key_value(key_id));
        let mut active = keys.filter(|(_, key)| key.is_active(now));
        match (active.next(), active.next()) {
            (Some((key_id, key)), None) => Ok((key_id, key)),
            (None, _) => Err(Refusal::of_unknown_key(
                "no key is active: register one with `keys generate` or `keys add`",
            )),
            (Some(_), Some(_)) => Err(Refusal::of(
                RefusalKind::AmbiguousKey,
                "kid",
                "several keys are active: send kid in the JOSE header",
            )),
        }
    }

    /// The active key of this thumbprint, and the id under which it is registered instead.
    pub(super) fn renamed(&self, thumbprint: &str, now: i64) -> Option<(&str, &Key)> {
        let key_id = self.renamed.get(thumbprint)?;
        let key = self.keys.get(key_id).filter(|key| key.is_active(now))?;
        Some((key_id, key))
    }

    /// A key by its id, active or not.
    #[must_use]
    pub fn get(&self, key_id: &str) -> Option<&Key> {
        self.keys.get(key_id)
    }
}

impl FromIterator<(String, Key)> for Keyring {
    fn from_iter<I: IntoIterator<Item = (String, Key)>>(keys: I) -> Self {
        let keys: HashMap<_, _> = keys.into_iter().collect();
        let mut usable: Vec<_> = keys.iter().filter(|(_, key)| !key.is_revoked).collect();
        usable.sort_by_key(|(_, key)| key.expires_at.unwrap_or(i64::MAX));
        // Of two ids of the same key, the one that is active longer comes last and counts.
        let renamed = usable
            .iter()
            .filter(|(key_id, key)| key.public_key.thumbprint() != *key_id)
            .map(|(key_id, key)| (key.public_key.thumbprint().to_owned(), (*key_id).clone()))
            .collect();
        let last_active = usable.iter().rev().take(2).map(|(key_id, _)| (*key_id).clone()).collect();
        Self { keys, last_active, renamed }
    }
}
