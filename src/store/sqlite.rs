//! The embedded engine: one writer, readers beside it, one file.
//!
//! The write-ahead log lets readers go on while the writer commits; `synchronous=FULL` makes a commit durable before
//! it returns, so that an acknowledged write survives a crash of the process and of the machine.

mod lookup;
mod sql;
mod write;

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use diesel::{
    connection::SimpleConnection as _,
    insert_into,
    prelude::*,
    result::{DatabaseErrorKind, Error as DieselError},
    sqlite::SqliteConnection,
    update,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use tokio::sync::{
    mpsc::{self, Receiver, Sender, error::TrySendError},
    oneshot,
};

use self::{lookup::Lookups, write::write};
use super::{
    Access, Position, SigningKey, StoreError, Stored,
    group::{Groups, blocking_gather},
    row::{CustomerRow, SigningKeyRow},
    schema::{customers, secrets, signing_keys},
};
use crate::{
    account::Account,
    model::{Customer, CustomerId, SortDirection, Timestamp},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How many reads may wait.
const READS_MAX: usize = 1024;

/// How each connection is set up. It keeps up to 8 MiB of the file in memory: some ten thousand customers, or of more the
/// upper levels of their index. SQLite's own 2 MB are soon too small, and each page that is not there is a system call.
const SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192;";

type Job = Box<dyn FnOnce(&mut SqliteConnection) + Send>;

/// An open SQLite database.
#[derive(Clone)]
pub(super) struct Sqlite {
    lookups: Arc<Lookups>,
    /// To the thread that reads all else, because a page of a list takes longer.
    reads: Sender<Job>,
}

impl Sqlite {
    pub(super) async fn open(path: &Path, access: Access, queue: Groups) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&path, access, queue));
        opened.await.map_err(StoreError::failed)?
    }

    fn open_blocking(path: &Path, access: Access, queue: Groups) -> Result<Self, StoreError> {
        // An absolute path is never taken for one of SQLite's special names.
        let path = std::path::absolute(path).map_err(StoreError::unavailable)?;
        touch(&path, access)
            .map_err(|error| StoreError::unavailable(format!("cannot open {}: {error}", path.display())))?;
        let mut writer = connect(&path)?;
        migrate(&mut writer)?;
        spawn("sqlite-writer", move || write(&mut writer, queue))?;
        Ok(Self { lookups: Arc::new(Lookups::open(&path)?), reads: reader(&path)? })
    }

    #[allow(clippy::unused_async, reason = "asked in one way with the other engine")]
    pub(super) async fn get(&self, account: &Account, id: &CustomerId) -> Result<Option<Stored>, StoreError> {
        self.lookups.find(account.as_str(), id.as_str())?.map(Stored::try_from).transpose()
    }

    pub(super) async fn list(
        &self,
        account: &Account,
        direction: SortDirection,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<Customer>, StoreError> {
        use customers::{created_at, customer_id};
        let account = account.clone();
        let rows = self.read(move |connection| {
            let mut query = customers::table
                .filter(customers::account.eq(account.as_str()))
                .select(CustomerRow::as_select())
                .limit(limit)
                .into_boxed();
            // The first comparison is implied by the second; the index needs it to find the place.
            query = match (direction, &after) {
                (_, None) => query,
                (SortDirection::Asc, Some(Position { created, customer_id: id })) => query
                    .filter(created_at.ge(created.micros()))
                    .filter(created_at.gt(created.micros()).or(customer_id.gt(id.as_str()))),
                (SortDirection::Desc, Some(Position { created, customer_id: id })) => query
                    .filter(created_at.le(created.micros()))
                    .filter(created_at.lt(created.micros()).or(customer_id.lt(id.as_str()))),
            };
            query = match direction {
                SortDirection::Asc => query.order_by((created_at.asc(), customer_id.asc())),
                SortDirection::Desc => query.order_by((created_at.desc(), customer_id.desc())),
            };
            query.load(connection)
        });
        rows.await?.into_iter().map(|row| Stored::try_from(row).map(|stored| stored.customer)).collect()
    }

    pub(super) async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let rows = self.read(|connection| {
            signing_keys::table
                .order_by((signing_keys::created_at, signing_keys::key_id))
                .select(SigningKeyRow::as_select())
                .load(connection)
        });
        rows.await?.into_iter().map(SigningKey::try_from).collect()
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.read(|connection| diesel::sql_query("SELECT 1").execute(connection).map(drop)).await
    }

    pub(super) async fn add_signing_key(&self, key: SigningKey) -> Result<bool, StoreError> {
        let row = SigningKeyRow::from(key);
        let added = self.read(move |connection| {
            insert_into(signing_keys::table).values(&row).on_conflict_do_nothing().execute(connection)
        });
        Ok(added.await? == 1)
    }

    pub(super) async fn revoke_signing_key(&self, key_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let key_id = key_id.to_owned();
        let revoked = self.read(move |connection| {
            update(signing_keys::table.find(&key_id).filter(signing_keys::revoked_at.is_null()))
                .set(signing_keys::revoked_at.eq(now.micros()))
                .execute(connection)
        });
        Ok(revoked.await? == 1)
    }

    pub(super) async fn secret(&self, name: &'static str, candidate: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let kept = self.read(move |connection| {
            insert_into(secrets::table)
                .values((secrets::name.eq(name), secrets::value.eq(candidate)))
                .on_conflict_do_nothing()
                .execute(connection)?;
            secrets::table.find(name).select(secrets::value).first(connection)
        });
        kept.await
    }

    /// Runs a query on the reader's thread. The rare writes of keys and secrets run there too: the database's own lock
    /// orders them with the writer's.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more if the request was given up.
            let _ = reply.send(query(connection));
        });
        self.reads.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::failed("the reader is gone"),
        })?;
        result.await.map_err(StoreError::failed)?.map_err(meaning)
    }
}

/// Makes the file readable by its owner alone, because it is to hold personal data; SQLite gives its companions
/// (`-wal`, `-shm`) the same mode.
fn touch(path: &PathBuf, access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(access == Access::Create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let path = path.to_str().ok_or_else(|| StoreError::unavailable("the path is not UTF-8"))?;
    let mut connection = SqliteConnection::establish(path).map_err(StoreError::unavailable)?;
    connection.batch_execute(SETUP).map_err(meaning)?;
    Ok(connection)
}

/// Takes the write lock first, so that several processes may start at once.
fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrated = connection.immediate_transaction(|connection| {
        Ok::<_, DieselError>(connection.run_pending_migrations(MIGRATIONS).map(drop))
    });
    migrated.map_err(meaning)?.map_err(StoreError::Failed)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(StoreError::failed)
}

/// A thread that reads, with a connection of its own.
fn reader(path: &Path) -> Result<Sender<Job>, StoreError> {
    let (reads, jobs) = mpsc::channel(READS_MAX);
    let mut connection = connect(path)?;
    spawn("sqlite-reader", move || carry_out(jobs, &mut connection))?;
    Ok(reads)
}

fn carry_out(mut jobs: Receiver<Job>, connection: &mut SqliteConnection) {
    loop {
        let jobs = blocking_gather(&mut jobs, READS_MAX);
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            job(connection);
        }
    }
}

/// What an error of the database means to the caller.
fn meaning(error: DieselError) -> StoreError {
    let is_passing = match &error {
        // diesel does not tell SQLite's result codes apart, but its messages are part of SQLite's stable interface.
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            matches!(info.message(), "database is locked" | "database or disk is full")
        }
        _ => false,
    };
    if is_passing { StoreError::unavailable(error) } else { StoreError::failed(error) }
}
