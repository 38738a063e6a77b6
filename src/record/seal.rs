//! The sealed form: one byte for the format (1), a random nonce of 12 bytes, the ciphertext, and a tag of 16 bytes.
//!
//! AES-256-GCM-SIV (RFC 8452), which stays safe if a nonce repeats. The associated data is the account, U+0000, the
//! customer's id, U+0000, and the 16 bytes of the version, so that no record can stand in for another. Neither an account
//! nor an id holds U+0000.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce};

use crate::{random, store::Version};

/// The first byte of a sealed record.
const FORMAT: u8 = 1;

/// The bytes before the ciphertext.
const HEAD_BYTES: usize = 1 + NONCE_LEN;

/// Whose record it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub account: &'a str,
    pub customer_id: &'a str,
    pub version: Version,
}

impl Place<'_> {
    fn associated_data(&self) -> Aad<Vec<u8>> {
        let Self { account, customer_id, version } = self;
        Aad::from([account.as_bytes(), b"\0", customer_id.as_bytes(), b"\0", version.as_bytes()].concat())
    }
}

/// Seals fields for a place; `None` if the library fails.
pub(super) fn seal(key: &LessSafeKey, place: Place<'_>, fields: &[u8]) -> Option<Vec<u8>> {
    let nonce = random::bytes::<NONCE_LEN>();
    let mut sealed = Vec::with_capacity(HEAD_BYTES + fields.len() + AES_256_GCM_SIV.tag_len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(fields);
    let aad = place.associated_data();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, aad, &mut sealed[HEAD_BYTES..]).ok()?;
    sealed.extend_from_slice(tag.as_ref());
    Some(sealed)
}

/// Opens what was sealed for this place; `None` if it was not, or was changed.
pub(super) fn open(key: &LessSafeKey, place: Place<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
    let (head, sealed) = sealed.split_at_checked(HEAD_BYTES)?;
    let nonce = head.strip_prefix(&[FORMAT])?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut fields = sealed.to_vec();
    let length = key.open_in_place(nonce, place.associated_data(), &mut fields).ok()?.len();
    fields.truncate(length);
    Some(fields)
}
