//! Look-ups of one customer, on the thread that asks.
//!
//! A look-up takes some microseconds, most of them to copy the row: less than a hand-over to another thread and back.
//! Where a page of the file must come from the disk, the asking thread waits for it. Readers never wait for the writer.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use diesel::{OptionalExtension as _, RunQueryDsl as _, sqlite::SqliteConnection};

use super::{
    super::{error::StoreError, row::CustomerRow},
    connect::{connect, store_error},
    sql::Select,
};

/// Connections that look up: as many as threads ever did so at once.
pub(super) struct Lookups {
    path: PathBuf,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Lookups {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), idle: Mutex::new(vec![connect(path)?]) })
    }

    pub(super) fn find(&self, account: &str, customer_id: &str) -> Result<Option<CustomerRow>, StoreError> {
        let idle = self.idle().pop();
        let mut connection = idle.map_or_else(|| connect(&self.path), Ok)?;
        let row = Select { account, customer_id }.get_result(&mut connection).optional();
        self.idle().push(connection);
        row.map_err(store_error)
    }

    /// No code that could panic runs under the lock.
    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
