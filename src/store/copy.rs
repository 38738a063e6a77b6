//! What goes over the whole database: to check, copy or seal it anew.

use std::path::Path;

use futures_util::future::try_join_all;
use tokio::sync::mpsc::Receiver;

use super::{
    decide::{Change, Outcome},
    engine::{ANSWER_TIMEOUT, Engine, Store, on, within},
    error::StoreError,
    exported::Exported,
    page::Part,
    sqlite::Backup,
    types::{ImportOutcome, ImportedCustomer, RawCustomer, Reseal, StoredCustomer},
};
use crate::account::Account;

/// What an export reads, part by part.
pub struct Export(Receiver<Part>);

impl Export {
    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Exported>, StoreError> {
        self.0.recv().await.unwrap_or_else(|| Err(StoreError::unavailable("the export has ended early")))
    }
}

impl Store {
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
