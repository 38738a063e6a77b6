use std::error::Error as StdError;

/// Why the store could not do what it was asked to.
///
/// The cause is for the log alone: it may name hosts, files and statements.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More waits already than the store can do soon. Nothing was written; the same request may succeed later.
    #[error("the store is busy")]
    Busy,
    /// The database does not answer now, or its disk is full. The same request may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// The database holds, or answers, what it never should.
    #[error("the database failed")]
    Failed(#[source] Cause),
}

/// What lies behind a [`StoreError`].
pub(super) type Cause = Box<dyn StdError + Send + Sync>;

impl StoreError {
    pub(super) fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable(cause.into())
    }

    pub(super) fn failed(cause: impl Into<Cause>) -> Self {
        Self::Failed(cause.into())
    }
}
