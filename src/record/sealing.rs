//! How records are sealed now, and which key opens which record.

use std::{borrow::Cow, path::Path, sync::Arc};

use super::{
    error::{DamagedRecord, SealError},
    keys::SealKeys,
    note::Note,
    seal::{self, Place},
};
use crate::store::{Record, SealKeyRow, Store, StoredCustomer, Version};

/// What is sealed under each key that the database knows, so that a wrong key is noticed at the start.
const CHECK_TEXT: &[u8] = b"customers-api";

/// No customer's place: an account has a name.
const CHECK_PLACE: Place<'static> = Place { account: "", customer_id: "", version: Version::ZERO };

/// The seal keys, and the right to write records by the current one.
#[derive(Default)]
pub(super) struct Sealing {
    /// `None`: records are plain.
    pub(super) keys: Option<Arc<SealKeys>>,
    /// `None` before [`Sealing::begin`], when no record is written.
    pub(super) note: Option<Note>,
}

impl Sealing {
    /// Makes the current key known to the database, before anything is sealed by it.
    pub(super) async fn begin(store: &Store, keys: Option<Arc<SealKeys>>) -> Result<Self, SealError> {
        if let Some(keys) = &keys {
            register(store, keys).await?;
        }
        let note = Note::begin(store, keys.as_ref().map(|keys| keys.current().to_owned())).await?;
        // Others may have begun to seal, or used another key under the same id.
        check(store, keys.as_deref()).await?;
        Ok(Self { keys, note: Some(note) })
    }

    /// Fields as a record for this place.
    pub(super) fn seal(&self, place: Place<'_>, fields: Vec<u8>) -> Result<Record, DamagedRecord> {
        if !self.note.as_ref().is_none_or(Note::holds) {
            return Err(DamagedRecord::Unnoted);
        }
        let Some(keys) = &self.keys else { return Ok(Record { bytes: fields, sealed_by: None }) };
        let key = keys.of_account(keys.current(), place.account).ok_or(DamagedRecord::Unwritable)?;
        let bytes = seal::seal(&key, place, &fields).ok_or(DamagedRecord::Unwritable)?;
        Ok(Record { bytes, sealed_by: Some(keys.current().to_owned()) })
    }

    /// What a key sealed for this place.
    pub(super) fn open(
        &self,
        key_id: &str,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Vec<u8>, DamagedRecord> {
        let key = self.keys.as_ref().and_then(|keys| keys.of_account(key_id, place.account));
        seal::open(&*key.ok_or(DamagedRecord::UnknownKey)?, place, sealed).ok_or(DamagedRecord::Forged)
    }

    /// The fields that a record holds.
    pub(super) fn fields<'a>(
        &self,
        account: &str,
        stored: &'a StoredCustomer,
    ) -> Result<Cow<'a, [u8]>, DamagedRecord> {
        let StoredCustomer { customer_id, record: Record { bytes, sealed_by }, version, .. } = stored;
        let Some(key_id) = sealed_by else { return Ok(Cow::Borrowed(bytes)) };
        let place = Place { account, customer_id: customer_id.as_str(), version: *version };
        self.open(key_id, place, bytes).map(Cow::Owned)
    }
}

pub(super) fn read(file: &Path) -> Result<SealKeys, SealError> {
    SealKeys::read(file).map_err(|error| SealError::File { file: file.to_owned(), error })
}

/// Checks that the keys open what every key of the database has sealed. It looks at no record, so that a damaged one
/// does not stop the service.
pub(super) async fn check(store: &Store, keys: Option<&SealKeys>) -> Result<(), SealError> {
    for SealKeyRow { key_id, check_value } in store.seal_keys().await? {
        let key = keys.and_then(|keys| keys.of_account(&key_id, ""));
        let Some(key) = key else { return Err(SealError::Missing(key_id)) };
        if seal::open(&key, CHECK_PLACE, &check_value).as_deref() != Some(CHECK_TEXT) {
            return Err(SealError::Wrong(key_id));
        }
    }
    Ok(())
}

async fn register(store: &Store, keys: &SealKeys) -> Result<(), SealError> {
    let key_id = keys.current().to_owned();
    let key = keys.of_account(&key_id, "").ok_or(SealError::Library)?;
    let check_value = seal::seal(&key, CHECK_PLACE, CHECK_TEXT).ok_or(SealError::Library)?;
    Ok(store.add_seal_key(SealKeyRow { key_id, check_value }).await?)
}
