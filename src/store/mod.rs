//! Customers and keys in the database: every query that the service runs, and nothing else.
//!
//! One interface, one folder for each engine. Invariants: nothing here knows HTTP ([`StoreError`] says what happened,
//! `api` decides the status), nothing here knows a field of a customer ([`Record`] is bytes), every query names the
//! account, and an outcome is told after its commit. Records of another [`Kind`] are kept in the same table.

mod claims;
mod collection;
mod creation;
mod error;
mod group;
mod page;
mod post;
mod postgres;
mod row;
mod schema;
mod sqlite;
mod turns;
mod types;
mod url;
mod used;
mod version;
mod write;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::yield_now, time::timeout};

pub use self::{
    collection::{Collection, Kind},
    error::StoreError,
    group::GROUP_WRITES_MAX,
    page::PAGE_BYTES_MAX,
    postgres::url::{InvalidPostgresUrl, PostgresUrl},
    sqlite::Backup,
    types::{
        Access, Condition, CustomerPage, DeleteOutcome, Exported, ImportOutcome, ImportedCustomer, Position,
        PutOutcome, RawCustomer, Record, Reseal, SealKeyRow, SigningKey, Snapshot, StoredCustomer,
        UnusableKey,
    },
    url::{DatabaseUrl, InvalidDatabaseUrl},
    version::{InvalidVersion, NewVersion, Version},
};
use self::{
    group::Queue,
    page::{Page, PageQuery, Part},
    postgres::Postgres,
    row::DamagedRow,
    sqlite::Sqlite,
};
use crate::{
    account::Account,
    model::{CustomerId, SortDirection, Timestamp},
    signature_id::SignatureId,
    telemetry::StoreMetrics,
    threads::Threads,
};

/// How long a caller waits for an answer, whatever the database does. The limits of the engines are shorter; this one
/// holds when several of them add up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// How long the database may take to answer a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long nothing may be committed although it is tried, until a check fails.
const STALL_MAX: Duration = Duration::from_secs(5);

/// An open database. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    writes: Queue,
    threads: Threads,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// What an export reads, part by part.
pub struct Export(mpsc::Receiver<Part>);

impl Export {
    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Exported>, StoreError> {
        self.0.recv().await.unwrap_or_else(|| Err(StoreError::unavailable("the export has ended early")))
    }
}

/// One call, on the engine that is open.
macro_rules! on {
    ($store:ident.$call:ident($($argument:expr),*)) => {
        match &$store.engine {
            Engine::Sqlite(engine) => engine.$call($($argument),*).await,
            Engine::Postgres(engine) => engine.$call($($argument),*).await,
        }
    };
}

impl Store {
    /// Opens the database and brings its tables up to date.
    pub async fn open(url: &DatabaseUrl, access: Access) -> Result<Self, StoreError> {
        Self::open_with_groups(url, access, GROUP_WRITES_MAX).await
    }

    /// The same, where a transaction takes at most so many writes.
    pub async fn open_with_groups(
        url: &DatabaseUrl,
        access: Access,
        group_writes_max: usize,
    ) -> Result<Self, StoreError> {
        let threads = Threads::new();
        let metrics = StoreMetrics::new().map_err(StoreError::failed)?;
        let (engine, writes) = match url {
            DatabaseUrl::Sqlite(path) => {
                let (writes, [lane]) = Queue::with_lanes(group_writes_max, &metrics);
                (Engine::Sqlite(Sqlite::open(path, access, lane, threads.clone()).await?), writes)
            }
            // A connection cannot create a database, so a mistyped name is an error in any case.
            DatabaseUrl::Postgres(url) => {
                let (writes, lanes) = Queue::with_lanes(group_writes_max, &metrics);
                (Engine::Postgres(Postgres::open(url, lanes, &threads).await?), writes)
            }
        };
        Ok(Self { engine, writes, threads })
    }

    /// The name of the engine.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// What is counted and measured of the writes.
    #[must_use]
    pub fn metrics(&self) -> &StoreMetrics {
        self.writes.metrics()
    }

    /// How many writes wait.
    #[must_use]
    pub fn queue_writes(&self) -> usize {
        self.writes.len()
    }

    /// Waits until a thread of the store has ended, which must not happen while the store is used, and returns its name.
    /// The store cannot work any more then.
    pub async fn ended(&self) -> &'static str {
        self.threads.ended().await
    }

    /// Checks that the database answers within a second, that writes are committed if there are any, and that no thread
    /// has ended.
    pub async fn check(&self) -> Result<(), StoreError> {
        if let Some(thread) = self.threads.first_ended() {
            return Err(StoreError::unavailable(format!("the thread {thread} has ended")));
        }
        if self.writes.stall_time() > STALL_MAX {
            return Err(StoreError::unavailable("no write has been committed for 5 seconds"));
        }
        within(CHECK_TIMEOUT, async { on!(self.check()) }).await
    }

    /// Waits until other requests that came at the same time are as far as this one, if their work in the database is
    /// cheaper then. SQLite works on the cores that verify signatures, and so it is best done in one go. Postgres works
    /// elsewhere meanwhile. A single request continues immediately.
    pub async fn await_others(&self) {
        if matches!(self.engine, Engine::Sqlite(_)) {
            yield_now().await;
        }
    }

    /// Creates or replaces a customer, which gets this version. Returns when the outcome is on disk. If the signature of
    /// the version was used before, nothing changes, and the outcome is the first one again.
    pub async fn put(
        &self,
        collection: impl Into<Collection<'_>>,
        id: CustomerId,
        version: NewVersion,
        record: Record,
        condition: Condition,
    ) -> Result<PutOutcome, StoreError> {
        let key = (collection.into().as_str().to_owned(), id.into_string());
        within(ANSWER_TIMEOUT, self.writes.put(key, version, record, condition)).await
    }

    /// Deletes a customer, if it has one of these versions; `None` means any. Returns when the outcome is on disk. If the
    /// signature was used before, nothing changes, and the outcome is the first one again.
    pub async fn delete(
        &self,
        collection: impl Into<Collection<'_>>,
        id: CustomerId,
        if_match: Option<Vec<Version>>,
        signature: Option<SignatureId>,
    ) -> Result<DeleteOutcome, StoreError> {
        let key = (collection.into().as_str().to_owned(), id.into_string());
        within(ANSWER_TIMEOUT, self.writes.delete(key, signature, if_match)).await
    }

    /// Reads a customer.
    pub async fn get(
        &self,
        collection: impl Into<Collection<'_>>,
        id: &CustomerId,
    ) -> Result<Option<StoredCustomer>, StoreError> {
        let collection = collection.into();
        within(ANSWER_TIMEOUT, async { on!(self.get(collection.as_str(), id)) }).await
    }

    /// Reads at most `limit` customers of an account in the order of their creation, after a position. There are fewer of
    /// them if their records are large.
    pub async fn list(
        &self,
        collection: impl Into<Collection<'_>>,
        direction: SortDirection,
        after: Option<Position>,
        limit: u32,
    ) -> Result<CustomerPage, StoreError> {
        let collection = collection.into();
        let account = collection.as_str();
        let query = PageQuery { account: account.to_owned(), direction, after, limit };
        let page = async { on!(self.list(query)) };
        let (snapshot, Page { rows, has_more, .. }) = within(ANSWER_TIMEOUT, page).await?;
        // A damaged row does not hide the others.
        let sound = |row: Result<StoredCustomer, DamagedRow>| {
            row.inspect_err(|damaged| tracing::error!(account, %damaged, "a customer is left out of a list"))
                .ok()
        };
        let customers: Vec<StoredCustomer> = rows.into_iter().filter_map(sound).collect();
        if customers.is_empty() && has_more {
            return Err(StoreError::failed("a page of damaged rows"));
        }
        let next = customers.last().filter(|_| has_more);
        let next = next.map(|last| Position {
            created: last.created,
            customer_id: last.customer_id.clone(),
            snapshot,
        });
        Ok(CustomerPage { customers, next })
    }

    /// Reads at most `limit` rows of all accounts in the order of their keys, after this key. There are fewer of them if
    /// their records are large, but at least one until the last was read.
    pub async fn scan(
        &self,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<RawCustomer>, StoreError> {
        Ok(on!(self.scan(after, limit))?.rows)
    }

    /// Reads all keys and all customers, of one account if one is given, as they are now: what is written meanwhile is
    /// left out. This keeps an old snapshot open, which on SQLite lets the write-ahead log grow.
    pub async fn export(&self, account: Option<Account>) -> Result<Export, StoreError> {
        on!(self.export(account)).map(Export)
    }

    /// Writes customers as they were in another database, all or none. Their keys must differ. One that is there already
    /// in another version is left as it is, or replaced. Returns the outcomes in the order of the customers.
    pub async fn import(
        &self,
        customers: Arc<[ImportedCustomer]>,
        replace: bool,
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        on!(self.import(customers, replace))
    }

    /// Begins to copy a SQLite database, as it is now, into an empty file. Others may read and write meanwhile.
    pub async fn backup(&self, file: &Path) -> Result<Backup, StoreError> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.backup(file).await,
            Engine::Postgres(_) => {
                Err(StoreError::failed("only a SQLite database can be copied into a file"))
            }
        }
    }

    /// Erases from the files of a SQLite database what was deleted or replaced, without waiting for the next time. On
    /// Postgres the server decides when its files are cleaned.
    pub async fn erase(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.erase().await,
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Writes records in another form, all or none. Returns how many customers still had the version.
    pub async fn reseal(&self, records: Vec<Reseal>) -> Result<usize, StoreError> {
        on!(self.reseal(records))
    }

    /// Reads the seal keys that the database knows.
    pub async fn seal_keys(&self) -> Result<Vec<SealKeyRow>, StoreError> {
        on!(self.seal_keys())
    }

    /// Makes a seal key known; nothing happens if its id is known already.
    pub async fn add_seal_key(&self, key: SealKeyRow) -> Result<(), StoreError> {
        on!(self.add_seal_key(key))
    }

    /// Forgets a seal key.
    pub async fn remove_seal_key(&self, key_id: &str) -> Result<(), StoreError> {
        on!(self.remove_seal_key(key_id))
    }

    /// Reads the secret of this name, if there is one.
    pub async fn known_secret(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        on!(self.known_secret(name))
    }

    /// Reads every registered key, oldest first. A row that cannot be used does not hide the others.
    pub async fn signing_keys(&self) -> Result<Vec<Result<SigningKey, UnusableKey>>, StoreError> {
        within(ANSWER_TIMEOUT, async { on!(self.signing_keys()) }).await
    }

    /// Registers a key; false if its id is taken.
    pub async fn add_signing_key(&self, key: SigningKey) -> Result<bool, StoreError> {
        on!(self.add_signing_key(key))
    }

    /// Revokes a key; false if there is no such key or it is revoked already.
    pub async fn revoke_signing_key(&self, key_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        on!(self.revoke_signing_key(key_id, now))
    }

    /// Reads the secret of this name, which becomes the candidate if there is none yet. All callers, on all replicas, get
    /// the same value.
    pub async fn secret(&self, name: &'static str, candidate: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        on!(self.secret(name, candidate))
    }
}

async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, answer).await.map_err(StoreError::unavailable)?
}
