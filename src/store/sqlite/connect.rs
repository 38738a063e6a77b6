//! Connections to the file, and the meaning of their errors.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
};

use diesel::{
    Connection as _,
    connection::SimpleConnection as _,
    result::{DatabaseErrorKind, Error as DieselError},
    sqlite::SqliteConnection,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::super::{error::StoreError, types::Access};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How each connection is set up. Its page cache is 8 MiB: some ten thousand customers, or the upper levels of the
/// indexes of more. SQLite's default of 2 MB is soon too small, and each page that is not there costs a system call.
const SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192;";

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

pub(super) fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let path = path.to_str().ok_or_else(|| StoreError::unavailable("the path is not UTF-8"))?;
    let mut connection = SqliteConnection::establish(path).map_err(StoreError::unavailable)?;
    connection.batch_execute(SETUP).map_err(store_error)?;
    Ok(connection)
}

/// Takes the write lock first, so that several processes may start at once.
pub(super) fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrated = connection.immediate_transaction(|connection| {
        Ok::<_, DieselError>(connection.run_pending_migrations(MIGRATIONS).map(drop))
    });
    migrated.map_err(store_error)?.map_err(StoreError::Failed)
}

/// The only place where an error of SQLite gets its meaning.
pub(super) fn store_error(error: DieselError) -> StoreError {
    let is_transient = match &error {
        // diesel does not tell SQLite's result codes apart, but their texts are part of SQLite's stable interface.
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            matches!(info.message(), "database is locked" | "database or disk is full")
        }
        _ => false,
    };
    if is_transient { StoreError::unavailable(error) } else { StoreError::failed(error) }
}
