//! Opens connections.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use diesel_async::AsyncPgConnection;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Error as PostgresError};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::error::StoreError,
    error::{connection_error, describe},
    tls,
    url::{PostgresUrl, place, without_user},
};
use crate::{random, telemetry::chain};

/// How long one host may take to give a session, its addresses, TLS and authentication included.
const HOST_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a host is waited for before the next one is asked, too.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long the statements of a new session may take to be prepared.
pub(super) const PREPARE_TIMEOUT: Duration = Duration::from_secs(3);

/// What each session begins with. The server ends what runs longer than this, or keeps its locks for longer. The client
/// waits longer ([`ANSWER_TIMEOUT`]), so that what it gave up is not committed much later. A commit is on disk before it
/// is acknowledged, however the server is set up; a stricter setting is kept.
const SETUP: &str = "\
    SET statement_timeout = 5000; \
    SET idle_in_transaction_session_timeout = 5000; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// How long a group of writes may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// Opens connections to the host that takes writes.
pub(super) struct Connector {
    hosts: Vec<Config>,
    shuffled: bool,
    tls: MakeRustlsConnect,
    /// The host that answered last is asked first.
    favourite: AtomicUsize,
    pub(super) runtime: Handle,
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

    /// As [`Self::connect`], once the service runs: what a server refuses now, it may give later.
    pub(super) async fn reconnect(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        self.connect().await.map_err(|error| match error {
            StoreError::Failed(cause) => StoreError::Unavailable(cause),
            transient => transient,
        })
    }

    /// A session with the first host that gives one. It lives on the engine's runtime, so that it outlives the worker
    /// that asked for it first.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        let this = Arc::clone(self);
        let connected = self.runtime.spawn(async move { this.connect_here().await });
        connected.await.map_err(StoreError::unavailable)?
    }

    /// Asks the hosts side by side: each gets a head start before the next one is asked, too.
    async fn connect_here(&self) -> Result<(Client, Driver), StoreError> {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        if self.shuffled {
            order.sort_by_cached_key(|_| random::uuid());
        } else {
            order.rotate_left(self.favourite.load(Ordering::Relaxed));
        }
        let (mut hosts, mut attempts, mut failures) =
            (order.into_iter().peekable(), FuturesUnordered::new(), Failures::default());
        while hosts.peek().is_some() || !attempts.is_empty() {
            attempts.extend(hosts.next().map(|index| self.ask(index)));
            let pause = if hosts.peek().is_some() { HEAD_START } else { HOST_TIMEOUT };
            match timeout(pause, attempts.next()).await {
                Ok(Some((index, Ok(session)))) => {
                    self.favourite.store(index, Ordering::Relaxed);
                    return Ok(session);
                }
                Ok(Some((index, Err(error)))) => failures.add(&self.hosts[index], &error),
                Ok(None) | Err(_) => {}
            }
        }
        Err(failures.into_error())
    }

    async fn ask(&self, index: usize) -> (usize, Result<(Client, Driver), StoreError>) {
        let session = timeout(HOST_TIMEOUT, open(&self.hosts[index], self.tls.clone())).await;
        let session = match session {
            Ok(session) => session.map_err(|error| connection_error(&error)),
            Err(elapsed) => Err(StoreError::unavailable(elapsed)),
        };
        (index, session)
    }
}

/// What the hosts said that gave no session.
#[derive(Default)]
struct Failures {
    lines: Vec<String>,
    /// Whether asking again may help.
    is_transient: bool,
}

impl Failures {
    fn add(&mut self, host: &Config, error: &StoreError) {
        self.is_transient |= !matches!(error, StoreError::Failed(_));
        let cause = error.source().map_or_else(|| error.to_string(), chain);
        self.lines.push(format!("{}: {}", place(host), without_user(host, &cause)));
    }

    fn into_error(self) -> StoreError {
        let causes = self.lines.join("; ");
        if self.is_transient { StoreError::unavailable(causes) } else { StoreError::failed(causes) }
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
        let connection = timeout(PREPARE_TIMEOUT, AsyncPgConnection::try_from(client)).await;
        let connection = connection.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)?;
        Ok(Reader { connection, driver })
    }

    async fn recycle(&self, reader: &mut Reader, _: &Metrics) -> RecycleResult<StoreError> {
        if reader.driver.0.is_finished() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}
