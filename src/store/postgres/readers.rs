//! A pool of connections that read, and what a query over one of them comes to.

use std::{future::Future, sync::Arc, time::Duration};

use deadpool::{
    Runtime as PoolRuntime,
    managed::{Object, Pool, PoolError, TimeoutType},
};
use diesel::{
    QueryResult,
    result::{DatabaseErrorKind, Error as DieselError},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use tokio::time::{error::Elapsed, sleep, timeout};

use super::{
    super::error::StoreError,
    connect::{Connector, Reader, Readers},
};

/// How long a read may wait for a connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a read may take: less than the server gives it, so that this limit decides.
const READ_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to wait before a query is tried again that the writes of others undid.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);

pub(super) fn pool(
    connector: &Arc<Connector>,
    connections: usize,
    setup: &'static str,
) -> Result<Pool<Readers>, StoreError> {
    Pool::builder(Readers { connector: Arc::clone(connector), setup })
        .max_size(connections)
        .runtime(PoolRuntime::Tokio1)
        .wait_timeout(Some(POOL_TIMEOUT))
        .build()
        .map_err(StoreError::failed)
}

/// Runs a query, which may write as long as it may be repeated. What the writes of others undid is tried again, as a writer
/// does. The connection returns to its pool if it still works.
pub(super) async fn run<T>(
    pool: &Pool<Readers>,
    mut query: impl AsyncFnMut(&mut AsyncPgConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    let mut reader = connection(pool).await?;
    let result = within(async {
        loop {
            match query(&mut reader.connection).await {
                Err(error) if is_conflict(&error) => sleep(CONFLICT_PAUSE).await,
                result => return result,
            }
        }
    });
    let result = result.await;
    finish(reader, result).await
}

pub(super) async fn connection(pool: &Pool<Readers>) -> Result<Object<Readers>, StoreError> {
    pool.get().await.map_err(|error| match error {
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
        PoolError::Backend(error) => error,
        error => StoreError::failed(error),
    })
}

/// The result of a query, or the end of the time for it.
pub(super) type InTime<T> = Result<QueryResult<T>, Elapsed>;

pub(super) async fn within<T>(query: impl Future<Output = QueryResult<T>>) -> InTime<T> {
    timeout(READ_TIMEOUT, query).await
}

/// Returns the connection to its pool if it still works. diesel tells few of Postgres's errors apart: if the connection
/// still answers, only this query was refused.
pub(super) async fn finish<T>(mut reader: Object<Readers>, result: InTime<T>) -> Result<T, StoreError> {
    let failure = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) if !is_transient(&error) && answers(&mut reader).await => {
            return Err(StoreError::failed(error));
        }
        Ok(Err(error)) => StoreError::unavailable(error),
        Err(elapsed) => StoreError::unavailable(elapsed),
    };
    drop(Object::take(reader));
    Err(failure)
}

/// diesel does not tell a deadlock from other errors.
fn is_conflict(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _))
}

fn is_transient(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction,
            _
        )
    )
}

async fn answers(reader: &mut Reader) -> bool {
    matches!(within(diesel::sql_query("SELECT 1").execute(&mut reader.connection)).await, Ok(Ok(_)))
}
