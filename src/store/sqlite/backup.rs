//! Copies the database into another file, while others read and write.

use std::{path::Path, thread, time::Duration};

use diesel::{
    RunQueryDsl as _,
    dsl::sql,
    sql_query,
    sql_types::{BigInt, Text},
};
use tokio::sync::oneshot;

use super::{super::error::StoreError, connect::Connection};

const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// About how long the copy gets: the pages that are in use.
const SIZE: &str = "SELECT (page_count - freelist_count) * page_size \
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

/// A copy that is being made.
pub struct Backup {
    /// About how many bytes it will have.
    pub bytes: u64,
    done: oneshot::Receiver<Result<(), StoreError>>,
}

impl Backup {
    /// `file` is absolute, and empty.
    ///
    /// The copy is made on a thread of its own, which ends with the process, however long it takes.
    pub(super) fn start(database: &Path, file: &Path) -> Result<Self, StoreError> {
        let file = file.to_str().ok_or_else(|| StoreError::failed("the path is not UTF-8"))?.to_owned();
        let mut connection = Connection::open(database, LOCK_PATIENCE)?;
        let bytes: i64 = connection.run(|connection| sql::<BigInt>(SIZE).get_result(connection))?;
        let (reply, done) = oneshot::channel();
        let copy = move || {
            let copied = connection
                .run(|connection| sql_query("VACUUM INTO ?").bind::<Text, _>(file).execute(connection));
            // The caller may be gone.
            drop(reply.send(copied.map(drop)));
        };
        thread::Builder::new().name("sqlite-backup".to_owned()).spawn(copy).map_err(StoreError::failed)?;
        Ok(Self { bytes: u64::try_from(bytes).unwrap_or_default(), done })
    }

    /// Waits for the end. May be called again if it was dropped.
    pub async fn finish(&mut self) -> Result<(), StoreError> {
        (&mut self.done).await.map_err(StoreError::unavailable)?
    }
}
