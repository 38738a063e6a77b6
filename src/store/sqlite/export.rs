//! Reads the whole database, in one transaction.

use std::{path::PathBuf, thread, time::Duration};

use diesel::{Connection as _, QueryResult, sqlite::SqliteConnection};
use tokio::sync::mpsc;

use super::{
    super::{
        error::StoreError,
        exported::{BlockingParts, Export},
    },
    connect::Connection,
};

const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Starts the thread that reads. It waits until each part is taken, and ends when nobody takes them any more.
pub(super) fn start(
    database: PathBuf,
    send_all: impl FnOnce(&mut SqliteConnection, BlockingParts<'_>) -> QueryResult<()> + Send + 'static,
) -> Result<Export, StoreError> {
    let (parts, received) = mpsc::channel(1);
    let export = move || {
        let sent = Connection::open(&database, LOCK_PATIENCE).and_then(|mut connection| {
            let send_all = |connection: &mut SqliteConnection| send_all(connection, BlockingParts(&parts));
            connection.run(|connection| connection.transaction(send_all))
        });
        // The reader may be gone.
        drop(parts.blocking_send(sent.map(|()| None)));
    };
    thread::Builder::new().name("sqlite-export".to_owned()).spawn(export).map_err(StoreError::failed)?;
    Ok(Export(received))
}
