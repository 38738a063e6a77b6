//! Opens connections, and closes those to a host that does not commit.
//!
//! A server may go on answering reads after another one took its place. It cannot commit any more, because its synchronous
//! standby is gone. So a writer connects to a host that has just committed something, and readers follow the writers.

use std::{
    error::Error as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    runtime::Handle,
    task::{AbortHandle, JoinHandle},
    time::timeout,
};
use tokio_postgres::{Client, Config, Error as PostgresError};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::error::StoreError,
    error::{connection_error, describe, is_unsupported, store_error},
    tls,
    url::{PostgresUrl, place, without_user},
};
use crate::{
    random,
    telemetry::{Outage, chain},
};

/// How long one host may take to give a session, its addresses, TLS and authentication included.
const HOST_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a host is waited for before the next one is asked, too.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long the statements of a new session may take to be prepared.
pub(super) const PREPARE_TIMEOUT: Duration = Duration::from_secs(3);

/// What each session begins with: every setting that a statement relies on, whatever the role, the database or the server
/// sets. Two are left to them: where the tables are (`search_path`), and that a host takes no writes
/// (`default_transaction_read_only`).
///
/// The server ends what runs longer than this, or keeps its locks for longer. The client waits longer ([`ANSWER_TIMEOUT`]),
/// so that what it gave up is not committed much later. A commit is on disk before it is acknowledged, and on that of a
/// synchronous standby; a stricter setting is kept. No statement is compiled: a plan that does without what a session rules
/// out looks so dear that it would be compiled each time, which takes far longer than to run it. The last two settings are not
/// known to all servers.
const SETUP: &str = "\
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_deferrable = off; \
    SET statement_timeout = 5000; \
    SET lock_timeout = 0; \
    SET jit = off; \
    SET idle_in_transaction_session_timeout = 5000; \
    SELECT set_config('synchronous_commit', 'on', false) \
        WHERE current_setting('synchronous_commit') <> 'remote_apply'; \
    SELECT set_config(name, '0', false) FROM unnest(ARRAY['idle_session_timeout', 'transaction_timeout']) AS name \
        WHERE current_setting(name, true) IS NOT NULL";

/// How long a group of writes may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);

/// Commits something that changes no table: an empty message in the server's log, for which a synchronous standby is waited
/// for as for any other commit.
const PROOF: &str = "SELECT pg_logical_emit_message(true, 'customers-api', '')";

/// How long the proof of a new session may take, and that of a session which has worked so far.
const FIRST_PROOF_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const PROOF_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections to the host that takes writes.
pub(super) struct Connector {
    hosts: Vec<Config>,
    shuffled: bool,
    tls: MakeRustlsConnect,
    state: Mutex<State>,
    /// That of the engine's thread, which drives the connections.
    pub(super) runtime: Handle,
    /// Whether the last proof failed.
    pub(super) outage: Outage,
}

/// What is known of the hosts.
struct State {
    /// The host that takes writes. It is asked first.
    primary: usize,
    /// One for each host.
    standings: Vec<Standing>,
    /// The open sessions, each with its host.
    sessions: Vec<(usize, AbortHandle)>,
}

#[derive(Clone, Copy)]
struct Standing {
    committed: Instant,
    /// Whether reads are answered from this host: not after a commit that it did not answer, until it commits again.
    is_trusted: bool,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To find out whether the service can start at all.
    Start,
    Read,
    Write,
}

/// The task that moves a connection's bytes; the connection ends with it.
pub(super) struct Driver {
    task: JoinHandle<()>,
    host: usize,
}

impl Driver {
    /// Whether the connection is closed.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Otherwise it would wait for the answers of a server that may never give them.
        self.task.abort();
    }
}

impl Connector {
    /// Must be called on the engine's runtime.
    pub(super) fn new(url: &PostgresUrl) -> Result<Self, StoreError> {
        let PostgresUrl { hosts, shuffled, trust } = url;
        let standing = Standing { committed: Instant::now(), is_trusted: true };
        let state = State { primary: 0, standings: vec![standing; hosts.len()], sessions: Vec::new() };
        Ok(Self {
            hosts: hosts.clone(),
            shuffled: *shuffled,
            tls: tls::connector(trust)?,
            state: Mutex::new(state),
            runtime: Handle::current(),
            outage: Outage::new(),
        })
    }

    /// A session with the first host that gives one: when the service starts.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        self.connect_for(Purpose::Start).await
    }

    /// A session with the host that the writers have found.
    pub(super) async fn connect_to_read(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        self.connect_for(Purpose::Read).await.map_err(may_pass)
    }

    /// A session with the first host that commits. All sessions with other hosts are closed, unless the URL wants them
    /// all to be used.
    pub(super) async fn connect_to_write(self: &Arc<Self>) -> Result<(Client, Driver), StoreError> {
        self.connect_for(Purpose::Write).await.map_err(may_pass)
    }

    /// The session lives on the engine's runtime, so that it outlives the worker that asked for it first.
    async fn connect_for(self: &Arc<Self>, purpose: Purpose) -> Result<(Client, Driver), StoreError> {
        let this = Arc::clone(self);
        let connected = self.runtime.spawn(async move { this.connect_here(purpose).await });
        connected.await.map_err(StoreError::unavailable)?
    }

    /// Asks the hosts side by side: each gets a head start before the next one is asked, too.
    async fn connect_here(&self, purpose: Purpose) -> Result<(Client, Driver), StoreError> {
        let order = self.order(purpose);
        if order.is_empty() {
            return Err(StoreError::unavailable("no host has committed lately"));
        }
        let (mut hosts, mut attempts, mut failures) =
            (order.into_iter().peekable(), FuturesUnordered::new(), Failures::default());
        while hosts.peek().is_some() || !attempts.is_empty() {
            attempts.extend(hosts.next().map(|host| async move { (host, self.ask(host, purpose).await) }));
            let pause = if hosts.peek().is_some() { HEAD_START } else { HOST_TIMEOUT };
            match timeout(pause, attempts.next()).await {
                Ok(Some((_, Ok(session)))) => return Ok(session),
                Ok(Some((host, Err(error)))) => failures.add(&self.hosts[host], &error),
                Ok(None) | Err(_) => {}
            }
        }
        Err(failures.into_error())
    }

    /// The hosts to ask, the most promising one first.
    fn order(&self, purpose: Purpose) -> Vec<usize> {
        let state = crate::lock::lock(&self.state);
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        if self.shuffled {
            order.sort_by_cached_key(|_| random::uuid());
        } else {
            order.rotate_left(state.primary);
        }
        if purpose == Purpose::Read {
            order.truncate(if self.shuffled { order.len() } else { 1 });
            order.retain(|&host| state.standings[host].is_trusted);
        }
        order
    }

    async fn ask(&self, host: usize, purpose: Purpose) -> Result<(Client, Driver), StoreError> {
        let opened = timeout(HOST_TIMEOUT, self.open(host)).await.map_err(StoreError::unavailable)?;
        let (client, driver) = opened.map_err(|error| connection_error(&error))?;
        if purpose == Purpose::Write {
            self.prove(&client, &driver, FIRST_PROOF_TIMEOUT).await?;
        }
        if self.admit(&driver, purpose) {
            Ok((client, driver))
        } else {
            Err(StoreError::unavailable("another host takes the writes now"))
        }
    }

    async fn open(&self, host: usize) -> Result<(Client, Driver), PostgresError> {
        let (client, connection) = self.hosts[host].connect(self.tls.clone()).await?;
        let task = tokio::task::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(cause = describe(&error), "a connection to the database was lost");
            }
        });
        let driver = Driver { task, host };
        client.batch_execute(SETUP).await?;
        Ok((client, driver))
    }

    /// Takes a session into account. Whether it may be used.
    fn admit(&self, driver: &Driver, purpose: Purpose) -> bool {
        let mut state = crate::lock::lock(&self.state);
        let host = driver.host;
        match purpose {
            Purpose::Read => {
                if !state.standings[host].is_trusted || !(self.shuffled || state.primary == host) {
                    return false;
                }
            }
            Purpose::Start | Purpose::Write => {
                state.standings[host] = Standing { committed: Instant::now(), is_trusted: true };
                if !self.shuffled && state.primary != host {
                    state.primary = host;
                    state.close(|other| other != host);
                }
            }
        }
        state.sessions.retain(|(_, session)| !session.is_finished());
        state.sessions.push((host, driver.task.abort_handle()));
        true
    }

    /// Shows that the server commits, or that it has no such function and cannot be asked.
    pub(super) async fn prove(
        &self,
        client: &Client,
        driver: &Driver,
        limit: Duration,
    ) -> Result<(), StoreError> {
        let began = Instant::now();
        match timeout(limit, client.batch_execute(PROOF)).await {
            Ok(Err(error)) if !is_unsupported(&error) => Err(store_error(&error)),
            Ok(_) => {
                self.note_commit(driver);
                Ok(())
            }
            Err(elapsed) => {
                self.give_up(driver, began);
                Err(StoreError::unavailable(elapsed))
            }
        }
    }

    /// The host of this session has committed.
    pub(super) fn note_commit(&self, driver: &Driver) {
        crate::lock::lock(&self.state).standings[driver.host].committed = Instant::now();
    }

    /// Whether the primary, or one of several, has committed in the last while.
    pub(super) fn has_committed_within(&self, time: Duration) -> bool {
        let state = crate::lock::lock(&self.state);
        let mut trusted = state.standings.iter().filter(|standing| standing.is_trusted);
        trusted.any(|standing| standing.committed.elapsed() < time)
    }

    /// A commit that began then was not answered in time. Unless the host has committed something since, its sessions are
    /// closed, no read is answered from it, and it is asked last.
    pub(super) fn give_up(&self, driver: &Driver, began: Instant) {
        let (mut state, host) = (crate::lock::lock(&self.state), driver.host);
        if state.standings[host].committed >= began || !state.standings[host].is_trusted {
            return;
        }
        state.standings[host].is_trusted = false;
        state.close(|other| other == host);
        if state.primary == host {
            state.primary = (host + 1) % self.hosts.len();
        }
        tracing::warn!(host = place(&self.hosts[host]), "it does not commit: its connections are closed");
    }
}

impl State {
    /// Ends the sessions with these hosts. What waits for their answers is told that they are closed.
    fn close(&mut self, is_meant: impl Fn(usize) -> bool) {
        self.sessions.retain(|(host, session)| {
            let stays = !is_meant(*host);
            if !stays {
                session.abort();
            }
            stays
        });
    }
}

/// Once the service runs: what a server refuses now, it may give later.
fn may_pass(error: StoreError) -> StoreError {
    match error {
        StoreError::Failed(cause) => StoreError::Unavailable(cause),
        transient => transient,
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
