//! Opens connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use diesel_async::AsyncPgConnection;
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Error as PostgresError};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::error::StoreError,
    error::{connection_error, describe},
    tls,
    url::PostgresUrl,
};
use crate::random;

/// How long one host may take to give a connection, its addresses, TLS and authentication included.
const HOST_TIMEOUT: Duration = Duration::from_secs(5);

/// What each session begins with. Whatever runs longer than this, or sits on its locks, is ended by the server; the
/// client waits for longer ([`ANSWER_TIMEOUT`]), so that what it gave up cannot come true much later. A commit is on
/// disk before it is acknowledged, however the server is set up; a stricter setting is kept.
const SETUP: &str = "\
    SET statement_timeout = 5000; \
    SET idle_in_transaction_session_timeout = 5000; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// How long a group of writes may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// Makes connections to whichever host takes writes.
pub(super) struct Connector {
    hosts: Vec<Config>,
    shuffled: bool,
    tls: MakeRustlsConnect,
    /// The host that answered last is asked first.
    favourite: AtomicUsize,
    runtime: Handle,
}

/// The task that moves a connection's bytes; the connection ends with it.
pub(super) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        // Otherwise it would wait for the answers of a server that may never give them.
        self.0.abort();
    }
}

impl Connector {
    /// Must be called on the engine's runtime.
    pub(super) fn new(url: &PostgresUrl) -> Result<Self, StoreError> {
        let PostgresUrl { hosts, shuffled, trust } = url;
        Ok(Self {
            hosts: hosts.clone(),
            shuffled: *shuffled,
            tls: tls::connector(trust)?,
            favourite: AtomicUsize::new(0),
            runtime: Handle::current(),
        })
    }

    /// As [`Self::connect`], once the service runs: then, whatever is refused now may be had later, and says nothing
    /// about what was asked for.
    pub(super) async fn reconnect(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        self.connect().await.map_err(|error| match error {
            StoreError::Failed(cause) => StoreError::Unavailable(cause),
            passing => passing,
        })
    }

    /// A session with the first host that gives one. It lives on the engine's runtime, so that it outlives the worker
    /// that asked for it first.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        let this = Arc::clone(self);
        let connected = self.runtime.spawn(async move { this.connect_here().await });
        connected.await.map_err(StoreError::unavailable)?
    }

    async fn connect_here(&self) -> Result<(Client, Driver), StoreError> {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        if self.shuffled {
            order.sort_by_cached_key(|_| random::uuid());
        } else {
            order.rotate_left(self.favourite.load(Ordering::Relaxed));
        }
        let mut failure = StoreError::failed("the URL names no host");
        for index in order {
            match timeout(HOST_TIMEOUT, open(&self.hosts[index], self.tls.clone())).await {
                Ok(Ok(session)) => {
                    self.favourite.store(index, Ordering::Relaxed);
                    return Ok(session);
                }
                Ok(Err(error)) => failure = connection_error(&error),
                Err(elapsed) => failure = StoreError::unavailable(elapsed),
            }
        }
        Err(failure)
    }
}

async fn open(config: &Config, tls: MakeRustlsConnect) -> Result<(Client, Driver), PostgresError> {
    let (client, connection) = config.connect(tls).await?;
    let driver = Driver(tokio::task::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(cause = describe(&error), "a connection to the database was lost");
        }
    }));
    client.batch_execute(SETUP).await?;
    Ok((client, driver))
}

/// A connection that reads, through diesel.
pub(super) struct Reader {
    pub(super) connection: AsyncPgConnection,
    driver: Driver,
}

/// The pool's way to readers.
pub(super) struct Readers(pub(super) Arc<Connector>);

impl Manager for Readers {
    type Type = Reader;
    type Error = StoreError;

    async fn create(&self) -> Result<Reader, StoreError> {
        let (client, driver) = self.0.reconnect().await?;
        let connection = AsyncPgConnection::try_from(client).await.map_err(StoreError::unavailable)?;
        Ok(Reader { connection, driver })
    }

    async fn recycle(&self, reader: &mut Reader, _: &Metrics) -> RecycleResult<StoreError> {
        if reader.driver.0.is_finished() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}
