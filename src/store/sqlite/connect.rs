//! Connections to the file, and the meaning of their errors.

use std::{
    error::Error as StdError,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel::{
    Connection as _, QueryResult,
    connection::{InstrumentationEvent, SimpleConnection as _},
    result::{DatabaseErrorKind, Error as DieselError},
    sqlite::SqliteConnection,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use libsqlite3_sys::{
    SQLITE_BUSY, SQLITE_CANTOPEN, SQLITE_CORRUPT, SQLITE_ERROR, SQLITE_FULL, SQLITE_IOERR, SQLITE_NOTADB,
    SQLITE_READONLY,
};

use super::super::error::{Cause, StoreError};
use crate::lock::lock;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How each connection is set up. A connection moves the log into the file itself only when the checkpointer did not come
/// to it: after 8,000 pages, 32 MiB. Its page cache is 8 MiB: some ten thousand customers, or the upper levels of the
/// indexes of more. SQLite's default of 2 MB is soon too small, and each page that is not there costs a system call.
const SETUP: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; \
    PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 8000;";

/// How long a connection waits for a lock while it is opened at the start.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// An error as SQLite logs it.
type NotedError = (Option<Code>, String);

/// A connection that waits for somebody else's lock once, and then not again until the lock is gone: otherwise each of
/// the requests in a queue would wait for it, one after the other.
pub(super) struct Connection {
    inner: SqliteConnection,
    path: String,
    patience: Duration,
    is_locked_out: bool,
    /// The first error of what runs now.
    first_error: Arc<Mutex<Option<NotedError>>>,
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
        let first_error = Arc::<Mutex<Option<_>>>::default();
        let noted = Arc::clone(&first_error);
        inner.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { error: Some(error), .. } = event {
                let mut noted = lock(&noted);
                noted.get_or_insert_with(|| (code(error), error.to_string()));
            }
        });
        Ok(Self { inner, path: path.to_owned(), patience, is_locked_out: false, first_error })
    }

    /// Runs a query or a transaction.
    pub(super) fn run<T>(
        &mut self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        lock(&self.first_error).take();
        let result = query(&mut self.inner);
        let is_locked_out = matches!(&result, Err(error) if code(error) == Some(SQLITE_BUSY));
        if is_locked_out != self.is_locked_out {
            let patience = if is_locked_out { Duration::ZERO } else { self.patience };
            wait_for_locks(&mut self.inner, patience).map_err(store_error)?;
            self.is_locked_out = is_locked_out;
        }
        result.map_err(|error| self.meaning(error))
    }

    /// The meaning of an error. If the disk is full, for example, SQLite ends the transaction by itself. Then diesel's
    /// rollback fails, which hides the cause, and diesel takes the connection for broken.
    fn meaning(&mut self, error: DieselError) -> StoreError {
        let first = lock(&self.first_error).take();
        // SQLITE_ERROR: there is no transaction to roll back.
        let is_broken = code(&error) == Some(SQLITE_ERROR)
            || matches!(
                error,
                DieselError::RollbackErrorOnCommit { .. } | DieselError::BrokenTransactionManager
            );
        if !is_broken {
            return store_error(error);
        }
        match Self::open(Path::new(&self.path), self.patience) {
            Ok(fresh) => *self = fresh,
            Err(error) => return error,
        }
        let (code, text) = first.unwrap_or_else(|| (None, error.to_string()));
        store_error_of(code, text)
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
            Err(error) if code(&error) == Some(SQLITE_BUSY) => Ok(None),
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

/// Lets readers go on while somebody writes. That stays so for whoever opens the file later.
pub(super) fn use_log(connection: &mut Connection) -> Result<(), StoreError> {
    connection.run(|connection| connection.batch_execute("PRAGMA journal_mode = WAL"))
}

/// Says which folder is meant, if nothing may be written in it.
pub(super) fn name_folder(error: StoreError, file: &Path) -> StoreError {
    match &error {
        StoreError::Failed(cause) if is_one_of(cause.as_ref(), &[SQLITE_READONLY, SQLITE_CANTOPEN]) => {
            let folder = file.parent().unwrap_or(file).display();
            StoreError::unavailable(format!(
                "{cause}: this user must be able to write in the folder {folder}, and the files in it"
            ))
        }
        _ => error,
    }
}

/// The only place where an error of SQLite gets its meaning.
pub(super) fn store_error(error: DieselError) -> StoreError {
    store_error_of(code(&error), error)
}

fn store_error_of(code: Option<Code>, cause: impl Into<Cause>) -> StoreError {
    match code {
        Some(SQLITE_BUSY | SQLITE_FULL | SQLITE_IOERR) => StoreError::unavailable(cause),
        _ => StoreError::failed(cause),
    }
}

/// SQLite's primary result code.
type Code = std::ffi::c_int;

/// The result code, where it has a meaning here. diesel keeps it to itself, but passes on the fixed text that SQLite has for
/// each.
fn code(error: &DieselError) -> Option<Code> {
    let DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) = error else { return None };
    Some(match info.message() {
        "attempt to write a readonly database" => SQLITE_READONLY,
        "cannot rollback - no transaction is active" => SQLITE_ERROR,
        "database disk image is malformed" => SQLITE_CORRUPT,
        "database is locked" => SQLITE_BUSY,
        "database or disk is full" => SQLITE_FULL,
        "disk I/O error" => SQLITE_IOERR,
        "file is not a database" => SQLITE_NOTADB,
        "unable to open database file" => SQLITE_CANTOPEN,
        _ => return None,
    })
}

fn is_one_of(cause: &(dyn StdError + Send + Sync + 'static), codes: &[Code]) -> bool {
    cause.downcast_ref().and_then(code).is_some_and(|code| codes.contains(&code))
}

/// Whether an error says that the file is not the database that was written.
pub(super) fn is_damage(cause: &(dyn StdError + Send + Sync + 'static)) -> bool {
    is_one_of(cause, &[SQLITE_NOTADB, SQLITE_CORRUPT])
}

#[cfg(test)]
mod tests {
    use diesel::{RunQueryDsl as _, sql_query};

    use super::*;

    #[test]
    fn a_full_disk_is_named_and_the_connection_is_good_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(&folder.path().join("full.db"), Duration::ZERO).unwrap();
        use_log(&mut connection).unwrap();
        connection.run(|connection| connection.batch_execute("CREATE TABLE t (x BLOB)")).unwrap();
        let fill = |connection: &mut SqliteConnection| {
            connection.immediate_transaction(|connection| {
                sql_query("INSERT INTO t VALUES (zeroblob(100000))").execute(connection)
            })
        };
        connection.run(|connection| connection.batch_execute("PRAGMA max_page_count = 8")).unwrap();
        let full = connection.run(fill).unwrap_err();
        assert!(
            matches!(&full, StoreError::Unavailable(cause) if cause.to_string() == "database or disk is full"),
            "{full:?}"
        );
        // The limit was the connection's.
        assert_eq!(connection.run(fill).unwrap(), 1);
    }
}
