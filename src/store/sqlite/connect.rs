//! Connections to the file, and the meaning of their errors.

use std::{
    error::Error as StdError,
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{
    Connection as _, QueryResult,
    connection::SimpleConnection as _,
    result::{DatabaseErrorKind, Error as DieselError},
    sqlite::SqliteConnection,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::super::{error::StoreError, types::Access};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How each connection is set up. A connection moves the log into the file itself only when the checkpointer did not come
/// to it: after 8,000 pages, 32 MiB. Its page cache is 8 MiB: some ten thousand customers, or the upper levels of the
/// indexes of more. SQLite's default of 2 MB is soon too small, and each page that is not there costs a system call.
const SETUP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA cache_size = -8192; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 8000;";

/// How long a connection waits for a lock while it is opened at the start.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// SQLite's text for `SQLITE_BUSY`: somebody else holds a lock.
const LOCKED: &str = "database is locked";

/// SQLite's texts for `SQLITE_NOTADB` and `SQLITE_CORRUPT`.
const DAMAGE: [&str; 2] = ["file is not a database", "database disk image is malformed"];

/// SQLite's text for `SQLITE_FULL`.
const DISK_FULL: &str = "database or disk is full";

/// SQLite's text for `SQLITE_IOERR`.
const IO_ERROR: &str = "disk I/O error";

/// The path of the file, which is created if it may be. Only its owner can read it, because it holds personal data;
/// SQLite gives its companions (`-wal`, `-shm`) the same mode.
pub(super) fn touch(path: &Path, access: Access) -> Result<PathBuf, StoreError> {
    // SQLite has special names, none of which is an absolute path.
    let path = std::path::absolute(path).map_err(StoreError::unavailable)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(access == Access::Create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let refused = |error: io::Error| format!("cannot open {}: {error}", path.display());
    options.open(&path).map_err(refused).map_err(StoreError::unavailable)?;
    Ok(path)
}

/// A connection that waits for somebody else's lock once, and then not again until the lock is gone: otherwise each of
/// the requests in a queue would wait for it, one after the other.
pub(super) struct Connection {
    inner: SqliteConnection,
    patience: Duration,
    is_locked_out: bool,
}

impl Connection {
    /// Connects at the start of the service, when several processes may create and migrate the same file.
    pub(super) fn open_first(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let mut connection = Self::open(path, START_PATIENCE)?;
        wait_for_locks(&mut connection.inner, patience).map_err(store_error)?;
        Ok(Self { patience, ..connection })
    }

    /// Connects; it waits for a lock for so long.
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let path = path.to_str().ok_or_else(|| StoreError::unavailable("the path is not UTF-8"))?;
        let mut inner = SqliteConnection::establish(path).map_err(StoreError::unavailable)?;
        wait_for_locks(&mut inner, patience).map_err(store_error)?;
        inner.batch_execute(SETUP).map_err(store_error)?;
        Ok(Self { inner, patience, is_locked_out: false })
    }

    /// Runs a query or a transaction.
    pub(super) fn run<T>(
        &mut self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let result = query(&mut self.inner);
        let is_locked_out = matches!(&result, Err(error) if message(error) == Some(LOCKED));
        if is_locked_out != self.is_locked_out {
            let patience = if is_locked_out { Duration::ZERO } else { self.patience };
            wait_for_locks(&mut self.inner, patience).map_err(store_error)?;
            self.is_locked_out = is_locked_out;
        }
        result.map_err(store_error)
    }

    /// As [`Self::run`], for what can as well be done later: `None` if somebody else holds a lock.
    pub(super) fn run_unless_locked<T>(
        &mut self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<Option<T>, StoreError> {
        wait_for_locks(&mut self.inner, Duration::ZERO).map_err(store_error)?;
        let result = query(&mut self.inner);
        let patience = if self.is_locked_out { Duration::ZERO } else { self.patience };
        wait_for_locks(&mut self.inner, patience).map_err(store_error)?;
        match result {
            Err(error) if message(&error) == Some(LOCKED) => Ok(None),
            result => result.map(Some).map_err(store_error),
        }
    }
}

fn wait_for_locks(connection: &mut SqliteConnection, patience: Duration) -> QueryResult<()> {
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", patience.as_millis()))
}

/// Takes the write lock first, so that several processes may start at once.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let migrated = connection.run(|connection| {
        connection.immediate_transaction(|connection| Ok::<_, DieselError>(create_tables(connection)))
    });
    migrated?.map_err(StoreError::Failed)
}

pub(super) fn create_tables(connection: &mut SqliteConnection) -> diesel::migration::Result<()> {
    connection.run_pending_migrations(MIGRATIONS).map(drop)
}

/// The only place where an error of SQLite gets its meaning.
pub(super) fn store_error(error: DieselError) -> StoreError {
    match message(&error) {
        Some(LOCKED | DISK_FULL | IO_ERROR) => StoreError::unavailable(error),
        _ => StoreError::failed(error),
    }
}

/// SQLite's text for the result code. diesel does not tell the codes apart, but the texts are stable.
fn message(error: &DieselError) -> Option<&str> {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => Some(info.message()),
        _ => None,
    }
}

/// Whether an error says that the file is not the database that was written.
pub(super) fn is_damage(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    let message = error.downcast_ref().and_then(message);
    message.is_some_and(|message| DAMAGE.contains(&message))
}
