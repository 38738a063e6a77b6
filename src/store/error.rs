use std::error::Error as StdError;

use crate::telemetry::chain;

/// Why the store could not do what it was asked to do.
///
/// The cause is for the log only: it may name hosts, files and statements.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The queue is full. Nothing was written; the same request may succeed later.
    #[error("the store is busy")]
    Busy,
    /// The database does not answer now, or its disk is full. The same request may succeed later. Whether a write was
    /// carried out is unknown.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// The database refused a statement, or returned what it never should. Nothing was written.
    #[error("the database failed")]
    Failed(#[source] Cause),
}

pub(super) type Cause = Box<dyn StdError + Send + Sync>;

impl StoreError {
    pub(super) fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable(cause.into())
    }

    pub(super) fn failed(cause: impl Into<Cause>) -> Self {
        Self::Failed(cause.into())
    }

    /// The same error for another request that met it.
    pub(super) fn duplicate(&self) -> Self {
        match self {
            Self::Busy => Self::Busy,
            Self::Unavailable(cause) => Self::unavailable(chain(cause.as_ref())),
            Self::Failed(cause) => Self::failed(chain(cause.as_ref())),
        }
    }
}
