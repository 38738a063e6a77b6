use std::collections::HashMap;

use super::{
    key::PublicKey,
    refusal::{Refusal, RefusalKind},
};
use crate::account::Account;

/// A registered key.
#[derive(Clone)]
pub struct Key {
    /// The account that signs with it.
    pub account: Account,
    /// What verifies its signatures.
    pub public_key: PublicKey,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// All registered keys, by key id.
#[derive(Default)]
pub struct Keyring {
    keys: HashMap<String, Key>,
    active: Active,
    /// The ids of active keys that are not their thumbprints, by thumbprint.
    renamed: HashMap<String, String>,
}

/// Which key verifies a token without `kid`.
#[derive(Default)]
enum Active {
    #[default]
    None,
    One(String),
    Several,
}

impl Keyring {
    /// The key that `kid` names, and its id; without `kid`, the only active key.
    pub(super) fn find(&self, key_id: Option<&str>) -> Result<(&str, &Key), Refusal> {
        let get = |key_id: &str| self.keys.get_key_value(key_id);
        let key = match (key_id, &self.active) {
            (Some(key_id), _) => get(key_id),
            (None, Active::One(key_id)) => get(key_id),
            (None, Active::None) => None,
            (None, Active::Several) => {
                return Err(Refusal::of(
                    RefusalKind::AmbiguousKey,
                    "kid",
                    "several keys are active: send kid in the JOSE header",
                ));
            }
        };
        match key {
            None if key_id.is_some() => Err(Refusal::of_unknown_key(
                "kid is not the id of a registered key: send the id under which the key was registered",
            )),
            None => Err(Refusal::of_unknown_key(
                "no key is active: register one with `keys generate` or `keys add`",
            )),
            Some((_, key)) if key.is_revoked => Err(Refusal::of(
                RefusalKind::RevokedKey,
                "kid",
                "the key is revoked: sign with an active key",
            )),
            Some((key_id, key)) => Ok((key_id, key)),
        }
    }

    /// The active key of this thumbprint, and the id under which it is registered instead.
    pub(super) fn renamed(&self, thumbprint: &str) -> Option<(&str, &Key)> {
        let key_id = self.renamed.get(thumbprint)?;
        Some((key_id, self.keys.get(key_id)?))
    }

    /// A key by its id, revoked or not.
    #[must_use]
    pub fn get(&self, key_id: &str) -> Option<&Key> {
        self.keys.get(key_id)
    }
}

impl FromIterator<(String, Key)> for Keyring {
    fn from_iter<I: IntoIterator<Item = (String, Key)>>(keys: I) -> Self {
        let keys: HashMap<_, _> = keys.into_iter().collect();
        let active_keys = keys.iter().filter(|(_, key)| !key.is_revoked);
        let renamed = active_keys
            .filter(|(key_id, key)| key.public_key.thumbprint() != *key_id)
            .map(|(key_id, key)| (key.public_key.thumbprint().to_owned(), key_id.clone()))
            .collect();
        let mut ids = keys.iter().filter(|(_, key)| !key.is_revoked).map(|(key_id, _)| key_id);
        let active = match (ids.next(), ids.next()) {
            (None, _) => Active::None,
            (Some(key_id), None) => Active::One(key_id.clone()),
            (Some(_), Some(_)) => Active::Several,
        };
        Self { keys, active, renamed }
    }
}
