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

use diesel::{connection::DefaultLoadingMode, prelude::*};
use tokio::{runtime::Builder, sync::mpsc::Receiver};

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
    exported::UsedSignature,
    feed::{EventRow, FeedHead, FeedQuery},
    followers::Followers,
    group::Lane,
    moved::{MovedEvent, MovedOutcome},
    page::{Listed, Page, PageQuery, Part},
    row::{CustomerRow, raw},
    schema::{customers, secrets},
    types::{Access, RawCustomer, StoredCustomer},
};
use crate::{account::Account, model::CustomerId, telemetry::StoreMetrics, threads::Threads};

/// How long the writer waits while somebody else holds the write lock.
const WRITER_LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long a check waits for a lock.
const CHECK_LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// An open SQLite database.
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
    followers: Followers,
}

impl Sqlite {
    pub(super) async fn open(
        path: &Path,
        access: Access,
        lane: Lane,
        threads: Threads,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened =
            tokio::task::spawn_blocking(move || Self::open_blocking(&path, access, lane, &threads, metrics));
        opened.await.map_err(StoreError::failed)?
    }

    fn open_blocking(
        path: &Path,
        access: Access,
        lane: Lane,
        threads: &Threads,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let (given, path) = file::find(path, access)?;
        let connection = Self::prepare(&path, access).map_err(|error| name_folder(error, &path))?;
        let file = Arc::new(File::remember(given, &path)?);
        let checkpointer = Checkpointer::start(threads, &path)?;
        let followers = Followers::default();
        let mut writer = Writer::new(connection, Arc::clone(&file), checkpointer, followers.clone());
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
            followers,
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
    pub(super) async fn get(
        &self,
        account: &str,
        id: &CustomerId,
    ) -> Result<Option<StoredCustomer>, StoreError> {
        let row = self.lookups.find(account, id.as_str())?;
        row.map(|row| StoredCustomer::try_from(row).map_err(StoreError::failed)).transpose()
    }

    pub(super) async fn list(&self, query: PageQuery) -> Result<Listed, StoreError> {
        self.file.check_now_and_then()?;
        let begun = list::begun(&query)?;
        self.lists.run(move |connection| list::read(&query, connection, begun)).await
    }

    pub(super) async fn scan(
        &self,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Page<RawCustomer>, StoreError> {
        use customers::{account, customer_id};
        let rows = self.lists.run(move |connection| {
            let mut query = customers::table
                .select((account, CustomerRow::as_select()))
                .order_by((account.asc(), customer_id.asc()))
                .limit(limit.into())
                .into_boxed();
            if let Some((last_account, last_id)) = after {
                query = query
                    .filter(account.ge(last_account.clone()))
                    .filter(account.gt(last_account).or(customer_id.gt(last_id)));
            }
            let mut page = Page::new(limit as usize);
            for row in query.load_iter::<(String, CustomerRow), DefaultLoadingMode>(connection)? {
                let row = row?;
                let record_bytes = row.1.record.len();
                if !page.add(raw(row), record_bytes) {
                    break;
                }
            }
            Ok(page)
        });
        rows.await
    }

    pub(super) async fn feed(
        &self,
        query: FeedQuery,
    ) -> Result<(Option<FeedHead>, Vec<EventRow>), StoreError> {
        self.file.check_now_and_then()?;
        self.lists.run(move |connection| feed::read(&query, connection)).await
    }

    pub(super) async fn newest_events(&self, _: Vec<String>) -> Result<Vec<(String, i64)>, StoreError> {
        self.file.check_now_and_then()?;
        self.lists.run(feed::newest).await
    }

    /// Nothing: an event has its position when it is committed.
    #[allow(clippy::unused_async, reason = "both engines are asked in the same way")]
    pub(super) async fn number_events(&self) -> Result<(), StoreError> {
        self.file.check()
    }

    pub(super) fn followers(&self) -> &Followers {
        &self.followers
    }

    pub(super) async fn feed_heads(&self) -> Result<Vec<FeedHead>, StoreError> {
        self.lists.run(feed::heads).await
    }

    pub(super) async fn scan_events(
        &self,
        after: (String, String, i64),
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.lists.run(move |connection| feed::scan(&after, limit, connection)).await
    }

    pub(super) async fn prune_events(&self, before: i64) -> Result<bool, StoreError> {
        self.file.check()?;
        self.keys.run(move |connection| feed::prune(before, connection)).await
    }

    pub(super) async fn remember_signatures(&self, used: Vec<UsedSignature>) -> Result<(), StoreError> {
        self.keys.run(move |connection| feed::remember(&used, connection)).await
    }

    pub(super) async fn take_over_events(
        &self,
        moved: Vec<MovedEvent>,
    ) -> Result<Vec<MovedOutcome>, StoreError> {
        self.keys.run(move |connection| feed::take_over(&moved, connection)).await
    }

    #[allow(clippy::unused_async, reason = "both engines are asked in the same way")]
    pub(super) async fn export(&self, account: Option<Account>) -> Result<Receiver<Part>, StoreError> {
        export::start(self.file.path().to_owned(), account)
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
