//! The embedded engine: one file, one writer, and readers beside it.
//!
//! The write-ahead log lets readers go on while the writer commits. `synchronous=FULL` makes a commit durable before it
//! returns, so that an acknowledged write survives a crash of the process and of the machine.

mod backup;
mod checkpoint;
mod connect;
mod erase;
mod export;
mod feed;
mod file;
mod list;
mod lookup;
mod page;
mod query_thread;
mod sql;
mod write;

use std::{path::Path, sync::Arc, time::Duration};

use diesel::prelude::*;
use tokio::runtime::Builder;

pub use self::backup::Backup;
use self::{
    checkpoint::Checkpointer,
    connect::{Connection, is_damage, migrate, name_folder, use_log},
    erase::Eraser,
    file::File,
    lookup::Lookups,
    query_thread::QueryThread,
    write::Writer,
};
use super::{
    error::StoreError,
    exported::{BlockingParts, Export},
    followers::Followers,
    group::Lane,
    page::{Listed, PageQuery},
    row::CustomerRow,
    schema::{customers, feed_heads, secrets},
    types::Access,
};
use crate::{telemetry::StoreMetrics, threads::Threads};

/// How long the writer waits while somebody else holds the write lock.
const WRITER_LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long a check waits for a lock.
const CHECK_LOCK_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct Sqlite {
    file: Arc<File>,
    lookups: Arc<Lookups>,
    /// Reads pages of lists, which take longer than a look-up.
    lists: QueryThread,
    /// For keys and secrets, so that they do not wait for lists. Their rare writes run here too: the database's own
    /// lock orders them with the writer's.
    keys: QueryThread,
    eraser: Eraser,
}

impl Sqlite {
    /// Blocks the thread.
    pub(super) fn open(
        path: &Path,
        access: Access,
        lane: Lane,
        threads: &Threads,
        followers: Followers,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let (given, path) = file::find(path, access)?;
        let connection = Self::prepare(&path, access).map_err(|error| name_folder(error, &path))?;
        let file = Arc::new(File::remember(given, &path)?);
        let checkpointer = Checkpointer::start(threads, &path)?;
        let mut writer = Writer::new(connection, Arc::clone(&file), checkpointer, followers);
        lane.start_after(writer.last_timestamp()?);
        let runtime = Builder::new_current_thread().enable_time().build().map_err(StoreError::failed)?;
        let write = move || runtime.block_on(lane.run(writer));
        threads.spawn("sqlite-writer", write).map_err(StoreError::failed)?;
        Ok(Self {
            lookups: Arc::new(Lookups::open(Arc::clone(&file))?),
            eraser: Eraser::start(threads, &file, metrics)?,
            file,
            lists: QueryThread::start(threads, "sqlite-lists", &path)?,
            keys: QueryThread::start(threads, "sqlite-keys", &path)?,
        })
    }

    fn prepare(path: &Path, access: Access) -> Result<Connection, StoreError> {
        let mut connection = Connection::open_first(path, WRITER_LOCK_PATIENCE)?;
        if access != Access::Read {
            use_log(&mut connection)?;
        }
        migrate(&mut connection)?;
        Ok(connection)
    }

    #[allow(clippy::unused_async, reason = "both engines are asked in the same way")]
    /// The record is empty if it has more bytes.
    pub(super) async fn find(
        &self,
        account: &str,
        id: &str,
        record_bytes_max: i64,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.lookups.find(account, id, record_bytes_max)
    }

    pub(super) async fn list(&self, query: PageQuery) -> Result<Listed, StoreError> {
        let begun = list::begun(&query)?;
        self.read(move |connection| list::read(&query, connection, begun)).await
    }

    /// Runs a query that may take long.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.file.check_now_and_then()?;
        self.lists.run(query).await
    }

    pub(super) async fn newest_events(&self, _: Vec<String>) -> Result<Vec<(String, i64)>, StoreError> {
        let newest = feed_heads::table.select((feed_heads::account, feed_heads::newest));
        self.read(move |connection| newest.load(connection)).await
    }

    /// Nothing: an event has its position when it is committed.
    #[allow(clippy::unused_async, reason = "both engines are asked in the same way")]
    pub(super) async fn number_events(&self) -> Result<(), StoreError> {
        self.file.check()
    }

    pub(super) async fn prune_events(&self, before: i64) -> Result<bool, StoreError> {
        self.file.check()?;
        self.keys.run(move |connection| feed::prune(before, connection)).await
    }

    #[allow(clippy::unused_async, reason = "both engines are asked in the same way")]
    pub(super) async fn export(
        &self,
        send_all: impl FnOnce(&mut SqliteConnection, BlockingParts<'_>) -> QueryResult<()> + Send + 'static,
    ) -> Result<Export, StoreError> {
        export::start(self.file.path().to_owned(), send_all)
    }

    /// Begins a copy into an empty file.
    pub(super) async fn backup(&self, file: &Path) -> Result<Backup, StoreError> {
        let (database, file) = (self.file.path().to_owned(), file.to_owned());
        let started = tokio::task::spawn_blocking(move || Backup::start(&database, &file));
        started.await.map_err(StoreError::failed)?
    }

    /// Runs a query on keys and secrets.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.keys.run(query).await
    }

    /// Checks that the file is still the one that was opened. The connections would go on with what they have in memory,
    /// and lose what they write.
    pub(super) async fn check_file(&self) -> Result<(), StoreError> {
        // A lock does not keep the keys from being read.
        drop(self.check().await);
        self.file.check()
    }

    /// Reads real rows on a connection of its own, which has nothing of the file in memory yet. If that fails for good,
    /// the file is another one.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.file.check()?;
        let path = self.file.path().to_owned();
        let check = move || {
            Connection::open(&path, CHECK_LOCK_PATIENCE)?.run(|connection| {
                secrets::table.select(secrets::name).limit(1).load::<String>(connection)?;
                customers::table.select(customers::version).limit(1).load::<Vec<u8>>(connection).map(drop)
            })
        };
        let checked = tokio::task::spawn_blocking(check).await.map_err(StoreError::unavailable)?;
        if matches!(&checked, Err(StoreError::Failed(cause)) if is_damage(cause.as_ref())) {
            self.file.give_up();
        }
        checked
    }

    /// Erases from the files what was deleted or replaced.
    pub(super) async fn erase(&self) -> Result<(), StoreError> {
        self.eraser.erase().await
    }
}
