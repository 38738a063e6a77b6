//! Customers and keys in the database: every query that the service runs, and nothing else.
//!
//! One interface, one folder for each engine. Invariants: nothing here knows HTTP ([`StoreError`] says what happened,
//! `api` decides the status), nothing here knows a field of a customer ([`Record`] is bytes), every query names the
//! account, and an outcome is told after its commit. Records of another [`Kind`] are kept in the same table.

mod catalog;
mod claims;
mod collection;
mod creation;
mod decide;
mod draft;
mod engine;
mod error;
mod exported;
mod feed;
mod follow;
mod followers;
mod group;
mod moved;
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

use std::path::Path;

use futures_util::future::try_join_all;
use tokio::{sync::mpsc, task::yield_now};

pub use self::{
    collection::{Collection, Kind},
    decide::{Change, Current, DamagedOutcome, Decision, Effect, Event, Outcome, decide},
    engine::Store,
    error::StoreError,
    exported::{Exported, UsedSignature},
    feed::{Cursor, EventPage, FeedHead, FeedStart, RawEvent, StoredEvent},
    group::GROUP_WRITES_MAX,
    moved::{Moved, MovedEvent, MovedOutcome},
    page::PAGE_BYTES_MAX,
    postgres::url::{InvalidPostgresUrl, PostgresUrl},
    sqlite::Backup,
    types::{
        Access, Condition, CustomerPage, DeleteOutcome, ImportOutcome, ImportedCustomer, Position,
        PutOutcome, RawCustomer, Record, Reseal, SealKeyRow, SigningKey, Snapshot, StoredCustomer,
        UnusableKey,
    },
    url::{DatabaseUrl, InvalidDatabaseUrl},
    version::{InvalidVersion, NewVersion, Version},
};
use self::{
    engine::{ANSWER_TIMEOUT, Engine, on, within},
    page::{Page, PageQuery, Part},
    row::DamagedRow,
    write::Told,
};
use crate::{
    account::Account,
    model::{CustomerId, SortDirection},
    signature_id::Proof,
};

/// What an export reads, part by part.
pub struct Export(mpsc::Receiver<Part>);

impl Export {
    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Exported>, StoreError> {
        self.0.recv().await.unwrap_or_else(|| Err(StoreError::unavailable("the export has ended early")))
    }
}

impl Store {
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
        let change = Change::Put { record, new: version, condition };
        self.write(collection.into(), id, change).await?.outcome.try_into().map_err(StoreError::failed)
    }

    /// Deletes a customer, if it has one of these versions; `None` means any. Returns when the outcome is on disk. If the
    /// signature was used before, nothing changes, and the outcome is the first one again.
    pub async fn delete(
        &self,
        collection: impl Into<Collection<'_>>,
        id: CustomerId,
        if_match: Option<Vec<Version>>,
        proof: Option<Proof>,
    ) -> Result<DeleteOutcome, StoreError> {
        let change = Change::Delete { new: NewVersion::of(proof), if_match };
        self.write(collection.into(), id, change).await?.outcome.try_into().map_err(StoreError::failed)
    }

    async fn write(&self, collection: Collection<'_>, id: CustomerId, change: Change) -> Told {
        let key = (collection.as_str().to_owned(), id.into_string());
        within(ANSWER_TIMEOUT, self.writes.submit(key, change)).await
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

    /// Writes customers as they were in another database. One that is there already in another version is left as it is, or
    /// replaced. Returns the outcomes in the order of the customers. After an error, some of them may be written.
    pub async fn import(
        &self,
        customers: &[ImportedCustomer],
        replace: bool,
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        let writes = customers.iter().map(async |ImportedCustomer { account, customer }| {
            let StoredCustomer { customer_id, record, version, created, updated } = customer.clone();
            let (created, updated) = (created.micros(), updated.micros());
            let change = Change::Import { record, version, created, updated, replace };
            Ok(ImportOutcome::from(self.write(account.into(), customer_id, change).await?))
        });
        try_join_all(writes).await
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

    /// Writes records in another form. Returns how many customers still had the version.
    pub async fn reseal(&self, records: Vec<Reseal>) -> Result<usize, StoreError> {
        let writes = records.into_iter().map(async |Reseal { account, customer_id, version, record }| {
            let change = Change::Reseal { record, version };
            let told = within(ANSWER_TIMEOUT, self.writes.submit((account, customer_id), change)).await?;
            Ok(told.outcome == Outcome::Updated(version))
        });
        let resealed: Vec<bool> = try_join_all(writes).await?;
        Ok(resealed.into_iter().filter(|was_written| *was_written).count())
    }
}
