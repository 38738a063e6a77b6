//! A connection that does nothing but show whether the database answers.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::{
    super::error::StoreError,
    connect::{Connector, Driver},
    error::store_error,
};

/// Reads a row of each table that every request needs.
const CHECK: &str = "SELECT name FROM secrets LIMIT 1; SELECT version FROM customers LIMIT 1";

/// Shows that the database answers, whatever all the other connections are busy with.
pub(super) struct Checker {
    pub(super) connector: Arc<Connector>,
    connection: Mutex<Option<(Client, Driver)>>,
}

impl Checker {
    pub(super) fn new(connector: &Arc<Connector>) -> Self {
        Self { connector: Arc::clone(connector), connection: Mutex::default() }
    }

    /// Can be dropped at any time: a connection that did not answer is not used again.
    ///
    /// It reads real rows: a server that accepts connections may still not be able to read its tables.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let mut held = self.connection.lock().await;
        let connection = match held.take().filter(|(client, _)| !client.is_closed()) {
            Some(connection) => connection,
            None => self.connector.connect_to_read().await?,
        };
        connection.0.batch_execute(CHECK).await.map_err(|error| store_error(&error))?;
        *held = Some(connection);
        Ok(())
    }
}
