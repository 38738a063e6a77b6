use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{error::DamagedRecord, json, keys::SealKeys, seal::Place, sealing::Sealing};
use crate::{
    account::Account,
    files::Watch,
    model::CustomerId,
    store::{Collection, Record, Reseal, StoredCustomer, Version, WebhookSecret},
};

/// Whose secrets are those of webhooks: no account's name holds U+0000.
const SECRETS_ACCOUNT: &str = "\0webhooks";

/// About how many bytes the JSON of a customer has besides its record.
const ITEM_BYTES: usize = 128;

/// Reads and writes records. Cheap to clone; clones share the seal keys.
#[derive(Clone, Default)]
pub struct Records(pub(super) Arc<Shared>);

#[derive(Default)]
pub(super) struct Shared {
    pub(super) file: Option<(PathBuf, Watch)>,
    pub(super) sealing: ArcSwap<Sealing>,
    pub(super) refuses_plain: AtomicBool,
}

/// What became of a record that was to be sealed by the current key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resealed {
    /// It is sealed by the current key already.
    Current,
    /// The record in its new form.
    Changed(Reseal),
}

impl Records {
    /// Seals and opens with these keys, whatever a database knows.
    pub fn new(keys: SealKeys) -> Self {
        let sealing = Sealing { keys: Some(Arc::new(keys)), note: None };
        Self(Arc::new(Shared { sealing: ArcSwap::from_pointee(sealing), ..Shared::default() }))
    }

    /// Whether records are sealed.
    pub fn are_sealed(&self) -> bool {
        self.0.sealing.load().keys.is_some()
    }

    /// The id of the key that seals, if records are sealed.
    pub fn current_key(&self) -> Option<String> {
        self.0.sealing.load().keys.as_ref().map(|keys| keys.current().to_owned())
    }

    /// Fields, such as a `CustomerInput`, as a record.
    pub fn encode<'a>(
        &self,
        collection: impl Into<Collection<'a>>,
        id: &CustomerId,
        version: Version,
        fields: &impl Serialize,
    ) -> Result<Record, DamagedRecord> {
        let collection = collection.into();
        let place = Place { account: collection.as_str(), customer_id: id.as_str(), version };
        self.0.sealing.load().seal(place, json::encode(fields)?)
    }

    /// What is stored as JSON, such as the schema `Customer` has it. A damaged record is logged by its key.
    pub fn answer<'a>(
        &self,
        collection: impl Into<Collection<'a>>,
        stored: &StoredCustomer,
    ) -> Result<Vec<u8>, DamagedRecord> {
        let mut json = Vec::with_capacity(stored.record.bytes.len() + ITEM_BYTES);
        self.append(&collection.into(), stored, &mut json).map(|()| json)
    }

    fn append(
        &self,
        collection: &Collection<'_>,
        stored: &StoredCustomer,
        json: &mut Vec<u8>,
    ) -> Result<(), DamagedRecord> {
        let fields = self.fields(collection.as_str(), stored);
        let appended = fields.and_then(|fields| json::write(collection.kind(), stored, &fields, json));
        appended.inspect_err(|damaged| {
            let (account, customer_id) = (collection.as_str(), stored.customer_id.as_str());
            tracing::error!(account, customer_id, cause = %damaged, "a record cannot be read");
        })
    }

    /// A page of customers as JSON, as the schema `Customers` has it. A damaged customer is left out, so that it does not
    /// hide the others.
    pub fn page(
        &self,
        account: &Account,
        customers: &[StoredCustomer],
        page_token: Option<&str>,
    ) -> Result<Vec<u8>, DamagedRecord> {
        let bytes = customers.iter().map(|stored| stored.record.bytes.len() + ITEM_BYTES).sum();
        let (collection, mut page) = (account.into(), json::Page::new(bytes));
        for stored in customers {
            page.add(|json| self.append(&collection, stored, json));
        }
        page.end(page_token)
    }

    /// The fields of a customer as one line of JSON.
    pub fn line(&self, account: &str, stored: &StoredCustomer) -> Result<Box<RawValue>, DamagedRecord> {
        json::line(&self.fields(account, stored)?)
    }

    /// A record as the current key seals it.
    pub fn reseal(&self, account: &str, stored: &StoredCustomer) -> Result<Resealed, DamagedRecord> {
        if stored.record.sealed_by == self.current_key() {
            return Ok(Resealed::Current);
        }
        let (sealing, customer_id, version) =
            (self.0.sealing.load(), stored.customer_id.as_str(), stored.version);
        let fields = sealing.fields(account, stored)?.into_owned();
        let record = sealing.seal(Place { account, customer_id, version }, fields)?;
        let (account, customer_id) = (account.to_owned(), customer_id.to_owned());
        Ok(Resealed::Changed(Reseal { account, customer_id, version, record }))
    }

    /// Seals the secret of a webhook's endpoint by the current key. Returns its id and the sealed bytes; an error if there is
    /// no key to seal with.
    pub fn seal_secret(&self, webhook_id: &str, secret: &[u8]) -> Result<(String, Vec<u8>), DamagedRecord> {
        let place = Place { account: SECRETS_ACCOUNT, customer_id: webhook_id, version: Version::ZERO };
        let Record { bytes, sealed_by } = self.0.sealing.load().seal(place, secret.to_vec())?;
        sealed_by.map(|key_id| (key_id, bytes)).ok_or(DamagedRecord::UnknownKey)
    }

    /// Opens the secret of a webhook's endpoint.
    pub fn open_secret(&self, secret: &WebhookSecret) -> Result<Zeroizing<Vec<u8>>, DamagedRecord> {
        let WebhookSecret { webhook_id, sealed_by, secret, .. } = secret;
        let place = Place { account: SECRETS_ACCOUNT, customer_id: webhook_id, version: Version::ZERO };
        self.0.sealing.load().open(sealed_by, place, secret).map(Zeroizing::new)
    }

    /// The fields that a record holds, as it may be served.
    pub(super) fn fields<'a>(
        &self,
        account: &str,
        stored: &'a StoredCustomer,
    ) -> Result<Cow<'a, [u8]>, DamagedRecord> {
        if stored.record.sealed_by.is_none() && self.0.refuses_plain.load(Ordering::Relaxed) {
            return Err(DamagedRecord::NotSealed);
        }
        self.0.sealing.load().fields(account, stored)
    }
}
