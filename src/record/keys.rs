//! Seal keys: the file, and the keys of the accounts.
//!
//! The file has a line for each key, `ID BASE64`, and `#` for comments. The first key is the current one: it seals. All of
//! them open. An account's own key is HKDF-SHA256 (RFC 5869) of the seal key.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{
    files::{SecretError, read_secret},
    random,
};

const KEY_BYTES: usize = 32;

const KEY_ID_BYTES_MAX: usize = 64;

/// The salt of HKDF, which names the use.
const SALT: &[u8] = b"customers-api record";

/// Of how many accounts the keys are kept. They are derived again when they are needed again.
const KEPT_ACCOUNTS_MAX: usize = 1024;

/// The keys of a file. The keys are wiped from memory when they are dropped, as far as the library does it.
pub struct SealKeys(Vec<SealKey>);

struct SealKey {
    id: String,
    key: Prk,
    /// The keys of the accounts that were asked for last: to derive one takes as long as to open a record with it.
    accounts: RwLock<HashMap<String, Arc<LessSafeKey>>>,
}

/// Why a file of seal keys cannot be used, without a word of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSealKeys {
    #[error("{0}")]
    File(SecretError),
    #[error("is not a text in UTF-8")]
    Binary,
    #[error(
        "line {0} must be ID BASE64: an id of 1 to {KEY_ID_BYTES_MAX} letters, digits, '.', '_' and '-', and {KEY_BYTES} bytes in base64"
    )]
    Line(usize),
    #[error("line {0} has the id of an earlier line")]
    Duplicate(usize),
    #[error("has no key: run `customers-api seal generate-key`")]
    Empty,
}

impl SealKeys {
    /// Reads a file, which holds a secret.
    pub fn read(file: &Path) -> Result<Self, InvalidSealKeys> {
        let text = read_secret(file).map_err(InvalidSealKeys::File)?;
        Self::parse(str::from_utf8(&text).map_err(|_| InvalidSealKeys::Binary)?)
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, InvalidSealKeys> {
        let mut keys: Vec<SealKey> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, key) = key(line).ok_or(InvalidSealKeys::Line(number))?;
            if keys.iter().any(|known| known.id == id) {
                return Err(InvalidSealKeys::Duplicate(number));
            }
            keys.push(SealKey { id, key, accounts: RwLock::default() });
        }
        if keys.is_empty() { Err(InvalidSealKeys::Empty) } else { Ok(Self(keys)) }
    }

    /// The ids of the keys, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// An account's key under one of the seal keys; `None` if there is no such seal key.
    pub(super) fn of_account(&self, key_id: &str, account: &str) -> Option<Arc<LessSafeKey>> {
        self.0.iter().find(|key| key.id == key_id)?.of_account(account)
    }
}

impl SealKey {
    fn of_account(&self, account: &str) -> Option<Arc<LessSafeKey>> {
        let kept = self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned();
        kept.or_else(|| {
            let info = [account.as_bytes()];
            let derived = self.key.expand(&info, &AES_256_GCM_SIV).ok()?;
            let key = Arc::new(LessSafeKey::new(UnboundKey::from(derived)));
            let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
            if accounts.len() >= KEPT_ACCOUNTS_MAX {
                accounts.clear();
            }
            accounts.insert(account.to_owned(), Arc::clone(&key));
            Some(key)
        })
    }
}

/// Whether a text can be the id of a seal key.
pub fn is_key_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // `-` stands for plain records.
    (1..=KEY_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) && text != "-"
}

fn key(line: &str) -> Option<(String, Prk)> {
    let (id, encoded) = line.split_once(|character: char| character.is_ascii_whitespace())?;
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim_start()).ok()?);
    let is_valid = is_key_id(id) && bytes.len() == KEY_BYTES;
    is_valid.then(|| (id.to_owned(), Salt::new(HKDF_SHA256, SALT).extract(&bytes)))
}

/// A new key as a line for the file.
pub fn generate_key_line(id: &str) -> Zeroizing<String> {
    let key = Zeroizing::new(random::bytes::<KEY_BYTES>());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(*key));
    Zeroizing::new(format!("{id} {}", *encoded))
}

#[cfg(test)]
mod tests {
    use super::{
        super::seal::{self, Place},
        *,
    };
    use crate::store::Version;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn the_first_key_is_the_current_one() {
        let text = format!("# comment\n\n  k2\t {KEY} \r\n# more\nk1 {}\n", KEY.replace("AAEC", "AAED"));
        let keys = SealKeys::parse(&text).unwrap();
        assert_eq!((keys.current(), keys.ids().collect::<Vec<_>>()), ("k2", vec!["k2", "k1"]));
    }

    #[test]
    fn a_generated_key_can_be_read() {
        let (one, other) = (generate_key_line("k-1"), generate_key_line("k-1"));
        assert_eq!(SealKeys::parse(&one).unwrap().current(), "k-1");
        assert_ne!(*one, *other);
    }

    #[test]
    fn an_account_keeps_its_key_however_many_others_there_are() {
        let keys = SealKeys::parse(&format!("k1 {KEY}\nk2 {}", KEY.replace("AAEC", "AAED"))).unwrap();
        let place = Place { account: "a-0", customer_id: "c", version: Version::ZERO };
        let sealed = seal::seal(&keys.of_account("k1", "a-0").unwrap(), place, b"x").unwrap();
        for number in 0..=KEPT_ACCOUNTS_MAX {
            keys.of_account("k1", &format!("a-{number}")).unwrap();
            keys.of_account("k2", &format!("a-{number}")).unwrap();
        }
        let opened = |key_id, account| seal::open(&keys.of_account(key_id, account).unwrap(), place, &sealed);
        for _ in 0..2 {
            assert_eq!(opened("k1", "a-0").as_deref(), Some(&b"x"[..]));
            assert_eq!((opened("k1", "a-1"), opened("k2", "a-0")), (None, None));
        }
        assert!(keys.of_account("k3", "a-0").is_none());
    }

    #[test]
    fn what_is_not_a_key_is_refused_by_its_line() {
        let line = InvalidSealKeys::Line;
        for (text, error) in [
            (String::new(), InvalidSealKeys::Empty),
            ("# k1\n".to_owned(), InvalidSealKeys::Empty),
            (format!("k1 {KEY}\nk1 {KEY}"), InvalidSealKeys::Duplicate(2)),
            ("k1".to_owned(), line(1)),
            (format!("# x\n{KEY}"), line(2)),
            (format!("- {KEY}"), line(1)),
            (format!("k/1 {KEY}"), line(1)),
            (format!("{} {KEY}", "k".repeat(65)), line(1)),
            (format!("k1 {KEY} more"), line(1)),
            ("k1 AAECAw==".to_owned(), line(1)),
            (format!("k1 {}", KEY.trim_end_matches('=')), line(1)),
            (format!("k1 AAEC{KEY}"), line(1)),
        ] {
            assert_eq!(SealKeys::parse(&text).err(), Some(error), "{text}");
        }
    }
}
