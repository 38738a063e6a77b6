use std::{
    borrow::Cow,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;

use super::{
    error::{DamagedRecord, SealError},
    json,
    keys::SealKeys,
    note::Note,
    seal::{self, Place},
};
use crate::{
    account::Account,
    contract,
    files::Watch,
    model::{CustomerId, CustomerInput, RequestExtensionItem},
    store::{Collection, Kind, Record, Reseal, SealKeyRow, Store, StoredCustomer, Version},
    telemetry::chain,
};

/// About how many bytes the JSON of a customer has besides its record.
const ITEM_BYTES: usize = 128;

/// How often the database is asked whether plain records are refused, and the note is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What is sealed under each key that the database knows, so that a wrong key is noticed at the start.
const CHECK_TEXT: &[u8] = b"customers-api";

/// The secret that says that plain records are refused.
const SEAL_ONLY: &str = "seal-only";

/// Reads and writes records. Cheap to clone; clones share the seal keys.
#[derive(Clone, Default)]
pub struct Records(Arc<Shared>);

#[derive(Default)]
struct Shared {
    file: Option<(PathBuf, Watch)>,
    sealing: ArcSwap<Sealing>,
    refuses_plain: AtomicBool,
}

/// How records are sealed now.
#[derive(Default)]
struct Sealing {
    /// `None`: they are plain.
    keys: Option<Arc<SealKeys>>,
    /// `None` before [`Records::begin`], when no record is written.
    note: Option<Note>,
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
    #[must_use]
    pub fn new(keys: SealKeys) -> Self {
        let sealing = Sealing { keys: Some(Arc::new(keys)), note: None };
        Self(Arc::new(Shared { sealing: ArcSwap::from_pointee(sealing), ..Shared::default() }))
    }

    /// Gets ready to read the records of a database. The keys must open everything that the database knows.
    pub async fn start(store: &Store, file: Option<PathBuf>, seal_only: bool) -> Result<Self, SealError> {
        let file = file.map(|file| (file.clone(), Watch::new(vec![file])));
        let keys = file.as_ref().map(|(file, _)| read(file)).transpose()?.map(Arc::new);
        check(store, keys.as_deref()).await?;
        let records = Self(Arc::new(Shared {
            file,
            sealing: ArcSwap::from_pointee(Sealing { keys, note: None }),
            refuses_plain: AtomicBool::new(seal_only),
        }));
        records.read_seal_only(store).await?;
        Ok(records)
    }

    /// Gets ready to write records: tells the database by which key. One without customers remembers that it has no plain
    /// records.
    pub async fn begin(&self, store: &Store) -> Result<(), SealError> {
        let keys = self.0.sealing.load().keys.clone();
        let is_new = keys.is_some() && store.seal_keys().await?.is_empty();
        let sealing = Sealing::begin(store, keys).await?;
        let is_plain = || async { Ok::<_, SealError>(store.sealers().await?.contains(&None)) };
        if is_new && store.scan(None, 1).await?.is_empty() && !is_plain().await? {
            self.refuse_plain(store).await?;
        }
        self.0.sealing.store(Arc::new(sealing));
        Ok(())
    }

    /// Nothing more is written.
    pub async fn end(&self, store: &Store) {
        if let Some(note) = &self.0.sealing.load_full().note {
            note.end(store).await;
        }
    }

    /// Keeps the right to write records, for as long as this is called at least every few seconds.
    pub async fn keep(&self, store: &Store) -> Result<(), SealError> {
        match &self.0.sealing.load_full().note {
            Some(note) => note.keep(store).await,
            None => Ok(()),
        }
    }

    /// Takes over each change of the file and of the database, while the service runs.
    pub async fn follow(&self, store: &Store) -> Infallible {
        tokio::select! {
            never = self.follow_file(store) => never,
            never = self.follow_database(store) => never,
        }
    }

    async fn follow_file(&self, store: &Store) -> Infallible {
        let Some((file, watch)) = &self.0.file else { return std::future::pending().await };
        watch.follow("the seal keys", async || self.take_over(store, file).await).await
    }

    async fn take_over(&self, store: &Store, file: &Path) -> Result<(), SealError> {
        let keys = read(file)?;
        check(store, Some(&keys)).await?;
        let sealing = Sealing::begin(store, Some(Arc::new(keys))).await?;
        if let Some(note) = &self.0.sealing.swap(Arc::new(sealing)).note {
            note.retire(store).await;
        }
        Ok(())
    }

    async fn follow_database(&self, store: &Store) -> Infallible {
        let mut told = None;
        loop {
            sleep(PAUSE).await;
            let kept = self.keep(store).await;
            let error = kept.and(self.read_seal_only(store).await).err().map(|error| chain(&error));
            if let Some(cause) = error.as_ref().filter(|_| told != error) {
                tracing::warn!(cause, "the database is not told by which key this process seals");
            }
            told = error;
        }
    }

    /// Takes over that plain records are refused. That is for ever.
    async fn read_seal_only(&self, store: &Store) -> Result<(), SealError> {
        let is_known = self.0.refuses_plain.load(Ordering::Relaxed) || !self.are_sealed();
        if !is_known && store.known_secret(SEAL_ONLY).await?.is_some() {
            self.0.refuses_plain.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Refuses plain records from now on. Other processes follow within seconds.
    pub async fn refuse_plain(&self, store: &Store) -> Result<(), SealError> {
        store.secret(SEAL_ONLY, vec![1]).await?;
        self.0.refuses_plain.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether records are sealed.
    #[must_use]
    pub fn are_sealed(&self) -> bool {
        self.0.sealing.load().keys.is_some()
    }

    /// The id of the key that seals, if records are sealed.
    #[must_use]
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
        self.seal(place, json::encode(fields)?)
    }

    /// What is stored as JSON, such as the schema `Customer` has it. A damaged record is logged by its key.
    pub fn answer<'a>(
        &self,
        collection: impl Into<Collection<'a>>,
        stored: &StoredCustomer,
    ) -> Result<Vec<u8>, DamagedRecord> {
        /// About how many bytes the id and the timestamp add to a record.
        const ADDED_BYTES: usize = 128;
        let mut json = Vec::with_capacity(stored.record.bytes.len() + ADDED_BYTES);
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

    /// Holds a record against the contract; empty if it is what its kind demands.
    pub fn check(
        &self,
        account: &str,
        stored: &StoredCustomer,
    ) -> Result<Vec<RequestExtensionItem>, DamagedRecord> {
        let fields = self.fields(account, stored)?;
        // The model decides as the contract does, much faster.
        let (schema, is_valid) = model(Collection::kind_of(account));
        Ok(if is_valid(&fields) { Vec::new() } else { contract::explain(schema, &fields) })
    }

    /// The fields of a customer as one line of JSON.
    pub fn line<'a>(
        &self,
        account: &str,
        stored: &'a StoredCustomer,
    ) -> Result<Cow<'a, [u8]>, DamagedRecord> {
        let fields = self.fields(account, stored)?;
        json::check_line(&fields)?;
        Ok(fields)
    }

    /// A record as the current key seals it.
    pub fn reseal(&self, account: &str, stored: &StoredCustomer) -> Result<Resealed, DamagedRecord> {
        if stored.record.sealed_by == self.current_key() {
            return Ok(Resealed::Current);
        }
        let fields = self.open(account, stored)?.into_owned();
        let customer_id = stored.customer_id.as_str();
        let record = self.seal(Place { account, customer_id, version: stored.version }, fields)?;
        let (account, customer_id) = (account.to_owned(), customer_id.to_owned());
        Ok(Resealed::Changed(Reseal { account, customer_id, version: stored.version, record }))
    }

    fn seal(&self, place: Place<'_>, fields: Vec<u8>) -> Result<Record, DamagedRecord> {
        let sealing = self.0.sealing.load();
        let Sealing { keys, note } = &**sealing;
        if !note.as_ref().is_none_or(Note::holds) {
            return Err(DamagedRecord::Unnoted);
        }
        let Some(keys) = keys else { return Ok(Record { bytes: fields, sealed_by: None }) };
        let key = keys.of_account(keys.current(), place.account).ok_or(DamagedRecord::Unwritable)?;
        let bytes = seal::seal(&key, place, &fields).ok_or(DamagedRecord::Unwritable)?;
        Ok(Record { bytes, sealed_by: Some(keys.current().to_owned()) })
    }

    /// The fields that a record holds, as it may be served.
    fn fields<'a>(&self, account: &str, stored: &'a StoredCustomer) -> Result<Cow<'a, [u8]>, DamagedRecord> {
        if stored.record.sealed_by.is_none() && self.0.refuses_plain.load(Ordering::Relaxed) {
            return Err(DamagedRecord::NotSealed);
        }
        self.open(account, stored)
    }

    fn open<'a>(&self, account: &str, stored: &'a StoredCustomer) -> Result<Cow<'a, [u8]>, DamagedRecord> {
        let Record { bytes, sealed_by } = &stored.record;
        let Some(key_id) = sealed_by else { return Ok(Cow::Borrowed(bytes)) };
        let sealing = self.0.sealing.load();
        let key = sealing.keys.as_ref().and_then(|keys| keys.of_account(key_id, account));
        let place = Place { account, customer_id: stored.customer_id.as_str(), version: stored.version };
        let fields = seal::open(&*key.ok_or(DamagedRecord::UnknownKey)?, place, bytes);
        fields.map(Cow::Owned).ok_or(DamagedRecord::Forged)
    }
}

/// What the fields of a record must be: the schema, and whether the type of the same name reads them.
const fn model(kind: Kind) -> (&'static str, fn(&[u8]) -> bool) {
    match kind {
        Kind::Customer => ("CustomerInput", is::<CustomerInput>),
    }
}

fn is<T: DeserializeOwned>(fields: &[u8]) -> bool {
    serde_json::from_slice::<T>(fields).is_ok()
}

fn read(file: &Path) -> Result<SealKeys, SealError> {
    SealKeys::read(file).map_err(|error| SealError::File { file: file.to_owned(), error })
}

/// Checks that the keys open what every key of the database has sealed. It looks at no record, so that a damaged one
/// does not stop the service.
async fn check(store: &Store, keys: Option<&SealKeys>) -> Result<(), SealError> {
    for SealKeyRow { key_id, check_value } in store.seal_keys().await? {
        let key = keys.and_then(|keys| keys.of_account(&key_id, ""));
        let Some(key) = key else { return Err(SealError::Missing(key_id)) };
        if seal::open(&key, CHECK_PLACE, &check_value).as_deref() != Some(CHECK_TEXT) {
            return Err(SealError::Wrong(key_id));
        }
    }
    Ok(())
}

/// No customer's place: an account has a name.
const CHECK_PLACE: Place<'static> = Place { account: "", customer_id: "", version: Version::ZERO };

impl Sealing {
    /// Makes the current key known to the database, before anything is sealed by it.
    async fn begin(store: &Store, keys: Option<Arc<SealKeys>>) -> Result<Self, SealError> {
        if let Some(keys) = &keys {
            register(store, keys).await?;
        }
        let note = Note::begin(store, keys.as_ref().map(|keys| keys.current().to_owned())).await?;
        // Others may have begun to seal, or used another key under the same id.
        check(store, keys.as_deref()).await?;
        Ok(Self { keys, note: Some(note) })
    }
}

async fn register(store: &Store, keys: &SealKeys) -> Result<(), SealError> {
    let key_id = keys.current().to_owned();
    let key = keys.of_account(&key_id, "").ok_or(SealError::Library)?;
    let check_value = seal::seal(&key, CHECK_PLACE, CHECK_TEXT).ok_or(SealError::Library)?;
    Ok(store.add_seal_key(SealKeyRow { key_id, check_value }).await?)
}
