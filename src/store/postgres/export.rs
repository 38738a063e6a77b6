//! Reads the whole database, in one transaction.

use std::{sync::Arc, thread};

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::sync::mpsc;

use super::{
    super::{
        error::StoreError,
        exported::{Export, Parts},
    },
    connect::Connector,
};

/// One snapshot for all that is read, however long its reader takes.
const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// Starts the thread that reads. It waits until each part is taken, and ends when nobody takes them any more.
pub(super) async fn start(
    connector: &Arc<Connector>,
    send_all: impl AsyncFnOnce(&mut AsyncPgConnection, Parts<'_>) -> QueryResult<()> + Send + 'static,
) -> Result<Export, StoreError> {
    let (client, driver) = connector.connect_to_read().await?;
    let mut connection = AsyncPgConnection::try_from(client).await.map_err(StoreError::unavailable)?;
    let (parts, received) = mpsc::channel(1);
    let runtime = connector.runtime.clone();
    let export = async move || {
        let _driver = driver;
        let sent = async {
            connection.batch_execute(BEGIN).await?;
            send_all(&mut connection, Parts(&parts)).await
        };
        let sent = sent.await.map(|()| None).map_err(StoreError::unavailable);
        // The reader may be gone.
        drop(parts.send(sent).await);
    };
    let export = move || runtime.block_on(export());
    thread::Builder::new().name("postgres-export".to_owned()).spawn(export).map_err(StoreError::failed)?;
    Ok(Export(received))
}
