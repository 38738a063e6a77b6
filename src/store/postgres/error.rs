//! The meaning of Postgres's errors.

use tokio_postgres::Error as PostgresError;

use super::super::error::StoreError;
use crate::telemetry::chain;

const UNIQUE_VIOLATION: &str = "23505";

/// What an error says about the statement that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SqlFailure {
    /// Others wrote at the same time, and the server undid the statement: it may be tried again at once.
    Conflict,
    /// The server does not do it now. Whether it was done is unknown.
    Transient,
    /// It was not done, and to try again would not help.
    Refused,
}

/// The only place where an SQLSTATE gets its meaning.
pub(super) fn classify(error: &PostgresError) -> SqlFailure {
    let Some(code) = error.code() else {
        return if error.is_closed() { SqlFailure::Transient } else { SqlFailure::Refused };
    };
    match code.code() {
        // A row that somebody else inserted at the same time, which the next try finds; serialization failure; deadlock.
        UNIQUE_VIOLATION | "40001" | "40P01" => SqlFailure::Conflict,
        // Read-only after a failover, idle for too long, statement cancelled, lock not available, outcome unknown.
        "25006" | "25P03" | "57014" | "55P03" | "40003" => SqlFailure::Transient,
        // Connections, lack of resources, shutdown and start, failures of the system.
        code if ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => {
            SqlFailure::Transient
        }
        _ => SqlFailure::Refused,
    }
}

/// An error as the store's, where it is not tried again.
pub(super) fn store_error(error: &PostgresError) -> StoreError {
    match classify(error) {
        // Nobody else's row, but a rule that the row breaks each time.
        SqlFailure::Conflict if error.code().is_some_and(|code| code.code() == UNIQUE_VIOLATION) => {
            StoreError::failed(describe(error))
        }
        SqlFailure::Conflict | SqlFailure::Transient => StoreError::unavailable(describe(error)),
        SqlFailure::Refused => StoreError::failed(describe(error)),
    }
}

/// Whether the server does not have, or does not allow, what a statement asks for.
pub(super) fn is_unsupported(error: &PostgresError) -> bool {
    error.code().is_some_and(|code| ["0A", "42"].iter().any(|class| code.code().starts_with(class)))
}

/// The error of a connection that could not be opened: all but the server's own refusal may pass.
pub(super) fn connection_error(error: &PostgresError) -> StoreError {
    match classify(error) {
        SqlFailure::Refused if error.code().is_some() => StoreError::failed(describe(error)),
        _ => StoreError::unavailable(describe(error)),
    }
}

/// What may be logged: Postgres puts whole rows into the details of an error.
pub(super) fn describe(error: &PostgresError) -> String {
    match error.as_db_error() {
        Some(error) => format!("{}: {} ({})", error.severity(), error.message(), error.code().code()),
        None => chain(error),
    }
}
