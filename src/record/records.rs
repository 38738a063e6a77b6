use std::{
    borrow::Cow,
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;

use super::{
    error::DamagedRecord,
    json,
    keys::{InvalidSealKeys, SealKeys},
    seal::{self, Place},
};
use crate::{
    account::Account,
    contract,
    model::{CustomerId, CustomerInput, RequestExtensionItem},
    store::{Collection, Kind, Record, Reseal, SealKeyRow, Store, StoreError, StoredCustomer, Version},
    telemetry::chain,
};

/// About how many bytes the JSON of a customer has besides its record.
const ITEM_BYTES: usize = 128;

/// How often the file of seal keys is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What is sealed under each key that the database knows, so that a wrong key is noticed at the start.
const CHECK_TEXT: &[u8] = b"customers-api";

/// The secret that says that plain records are refused.
const SEAL_ONLY: &str = "seal-only";

/// Reads and writes records. Cheap to clone; clones share the seal keys.
#[derive(Clone, Default)]
pub struct Records(Arc<Shared>);

#[derive(Default)]
struct Shared {
    file: Option<PathBuf>,
    keys: ArcSwapOption<SealKeys>,
    refuses_plain: AtomicBool,
}

/// Why a database cannot be served with these seal keys.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file cannot be used.
    #[error("the seal key file {} {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: InvalidSealKeys,
    },
    /// The database knows a key that is not in the file, or there is no file.
    #[error("the database has records that are sealed by the key {0}: add it to the file of --seal-keys")]
    Missing(String),
    /// The key in the file is another one.
    #[error("the seal key {0} is not the key that this database knows under this id")]
    Wrong(String),
    /// The library failed.
    #[error("the cryptographic library cannot seal")]
    Library,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
        Self(Arc::new(Shared { keys: ArcSwapOption::from_pointee(keys), ..Shared::default() }))
    }

    /// Gets ready to read and write the records of a database. The keys must open everything that the database knows.
    pub async fn start(store: &Store, file: Option<PathBuf>, seal_only: bool) -> Result<Self, SealError> {
        let keys = file.as_deref().map(read).transpose()?;
        let is_remembered = store.known_secret(SEAL_ONLY).await?.is_some();
        check(store, keys.as_ref()).await?;
        let shared = Shared {
            file,
            keys: ArcSwapOption::from_pointee(keys),
            refuses_plain: AtomicBool::new(seal_only || is_remembered),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Makes the current key known to the database, before anything is sealed by it. A database without customers
    /// remembers that it has no plain records.
    pub async fn register(&self, store: &Store) -> Result<(), SealError> {
        let Some(keys) = self.0.keys.load_full() else { return Ok(()) };
        if store.seal_keys().await?.is_empty() && store.scan(None, 1).await?.is_empty() {
            self.refuse_plain(store).await?;
        }
        register(store, &keys).await
    }

    /// Takes over each change of the file, while the service runs. A file that cannot be used is logged, and the keys
    /// of before are kept.
    pub async fn follow_file(&self, store: &Store) -> Infallible {
        let Some(file) = &self.0.file else { return std::future::pending().await };
        let mut seen = changed(file).ok();
        loop {
            sleep(WATCH_INTERVAL).await;
            let now = changed(file).ok();
            if now == seen {
                continue;
            }
            match self.take_over(store, file).await {
                Ok(()) => tracing::info!(file = %file.display(), "the seal keys were read again"),
                Err(error) => tracing::error!(cause = %chain(&error), "the seal keys of before are kept"),
            }
            seen = now;
        }
    }

    async fn take_over(&self, store: &Store, file: &Path) -> Result<(), SealError> {
        let keys = read(file)?;
        check(store, Some(&keys)).await?;
        register(store, &keys).await?;
        self.0.keys.store(Some(Arc::new(keys)));
        Ok(())
    }

    /// Refuses plain records from now on, also after the next start.
    pub async fn refuse_plain(&self, store: &Store) -> Result<(), SealError> {
        store.secret(SEAL_ONLY, vec![1]).await?;
        self.0.refuses_plain.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether records are sealed.
    #[must_use]
    pub fn are_sealed(&self) -> bool {
        self.0.keys.load().is_some()
    }

    /// The id of the key that seals, if records are sealed.
    #[must_use]
    pub fn current_key(&self) -> Option<String> {
        self.0.keys.load().as_ref().map(|keys| keys.current().to_owned())
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
        let keys = self.0.keys.load();
        let Some(keys) = keys.as_ref() else { return Ok(Record { bytes: fields, sealed_by: None }) };
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
        let keys = self.0.keys.load();
        let key = keys.as_ref().and_then(|keys| keys.of_account(key_id, account));
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

/// What changes when a file is written or replaced.
fn changed(file: &Path) -> io::Result<(SystemTime, u64)> {
    let metadata = fs::metadata(file)?;
    Ok((metadata.modified()?, metadata.len()))
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

async fn register(store: &Store, keys: &SealKeys) -> Result<(), SealError> {
    let key_id = keys.current().to_owned();
    let key = keys.of_account(&key_id, "").ok_or(SealError::Library)?;
    let check_value = seal::seal(&key, CHECK_PLACE, CHECK_TEXT).ok_or(SealError::Library)?;
    store.add_seal_key(SealKeyRow { key_id, check_value }).await?;
    // Another replica may have been first, with another key under the same id.
    check(store, Some(keys)).await
}
