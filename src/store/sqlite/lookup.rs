//! Look-ups of one customer, on the thread that asks.
//!
//! A look-up takes some microseconds, most of them to copy the row: less than a hand-over to another thread and back.
//! Where a page of the file must come from the disk, the asking thread waits for it. Readers never wait for the writer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel::{OptionalExtension as _, RunQueryDsl as _};

use super::{
    super::{error::StoreError, row::CustomerRow},
    connect::Connection,
    file::File,
    sql::Select,
};
use crate::lock::lock;

/// Connections that look up: as many as threads ever did so at once.
pub(super) struct Lookups {
    file: Arc<File>,
    idle: Mutex<Vec<Connection>>,
}

/// How long a look-up waits for a lock. In WAL mode nobody locks readers out, but for moments after a crash, and a
/// worker stands still while it waits.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

impl Lookups {
    pub(super) fn open(file: Arc<File>) -> Result<Self, StoreError> {
        let first = Connection::open_first(file.path(), LOCK_PATIENCE)?;
        Ok(Self { file, idle: Mutex::new(vec![first]) })
    }

    pub(super) fn find(
        &self,
        account: &str,
        customer_id: &str,
        record_bytes_max: i64,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.file.check_now_and_then()?;
        let idle = lock(&self.idle).pop();
        let mut connection = idle.map_or_else(|| Connection::open(self.file.path(), LOCK_PATIENCE), Ok)?;
        let select = Select { record_bytes_max, account, customer_id };
        let row = connection.run(|connection| select.get_result(connection).optional());
        lock(&self.idle).push(connection);
        row
    }
}
