//! Connections that read, and what a query over one of them comes to.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel::{
    QueryResult,
    result::{DatabaseErrorKind, Error as DieselError},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    super::error::StoreError,
    connect::{Connector, Driver, PREPARE_TIMEOUT},
    error::describe,
};
use crate::lock::lock;

const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a read may take: less than the server gives it, so that this limit decides.
const READ_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to wait before a query is tried again that the writes of others undid.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);

/// A bounded number of connections that read, opened when they are needed. Clones share them.
#[derive(Clone)]
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    connector: Arc<Connector>,
    /// What each session begins with.
    setup: &'static str,
    places: Semaphore,
    idle: Mutex<Vec<Reader>>,
}

struct Reader {
    connection: AsyncPgConnection,
    driver: Driver,
}

impl Readers {
    pub(super) fn new(connector: &Arc<Connector>, connections: usize, setup: &'static str) -> Self {
        let (connector, places) = (Arc::clone(connector), Semaphore::new(connections));
        Self(Arc::new(Shared { connector, setup, places, idle: Mutex::default() }))
    }

    /// Runs a query, which may write as long as it may be repeated. What the writes of others undid is tried again, as a
    /// writer does. The connection is used again if it still works: not if the query is given up.
    pub(super) async fn run<T>(
        &self,
        mut query: impl AsyncFnMut(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let place = timeout(WAIT_TIMEOUT, self.0.places.acquire()).await.map_err(|_| StoreError::Busy)?;
        let _place = place.map_err(StoreError::unavailable)?;
        let mut reader = self.0.reader().await?;
        let result = timeout(READ_TIMEOUT, async {
            loop {
                match query(&mut reader.connection).await {
                    Err(error) if is_conflict(&error) => sleep(CONFLICT_PAUSE).await,
                    result => return result,
                }
            }
        });
        let result = match result.await {
            Ok(Ok(value)) => Ok(value),
            // diesel tells few of Postgres's errors apart: if the connection still answers, only this query was refused.
            Ok(Err(error)) if !is_transient(&error) && answers(&mut reader).await => {
                Err(StoreError::failed(error))
            }
            Ok(Err(error)) => return Err(StoreError::unavailable(error)),
            Err(elapsed) => return Err(StoreError::unavailable(elapsed)),
        };
        lock(&self.0.idle).push(reader);
        result
    }
}

impl Shared {
    async fn reader(&self) -> Result<Reader, StoreError> {
        while let Some(reader) = { lock(&self.idle).pop() } {
            if !reader.driver.has_ended() {
                return Ok(reader);
            }
        }
        let (client, driver) = self.connector.connect_to_read().await?;
        let prepare = async {
            client.batch_execute(self.setup).await.map_err(|error| describe(&error))?;
            AsyncPgConnection::try_from(client).await.map_err(|error| error.to_string())
        };
        let connection = timeout(PREPARE_TIMEOUT, prepare).await;
        let connection = connection.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)?;
        Ok(Reader { connection, driver })
    }
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
    let answer = diesel::sql_query("SELECT 1").execute(&mut reader.connection);
    matches!(timeout(READ_TIMEOUT, answer).await, Ok(Ok(_)))
}
