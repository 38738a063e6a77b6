//! The writer: commits a group on one connection.
//!
//! It orders a group by key, so that all replicas lock rows in the same order and no two wait for each other. The writes
//! of one customer keep their order. Puts of different customers are one statement, and most groups are one such
//! statement. Any other group is a transaction whose statements are sent without waiting for each other's
//! answers. Its commit is sent last, when the answers have arrived in time, so that a group that was given up is never
//! committed behind the caller's back.
//!
//! This uses tokio-postgres and not diesel, which hides the SQLSTATE that tells a deadlock from a bad row.

use std::{collections::HashMap, iter, mem, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, TryFutureExt as _, future::try_join_all};
use tokio::{
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
    try_join,
};
use tokio_postgres::{Client, Error as PostgresError, Statement};

use super::{
    super::{
        error::StoreError,
        group::Engine,
        used::DamagedOutcome,
        write::{Change, Write},
    },
    connect::{ANSWER_TIMEOUT, Connector, Driver, PREPARE_TIMEOUT, PROOF_TIMEOUT},
    error::{SqlFailure, classify, describe, store_error},
    sql::{self, Delete, Puts},
};
use crate::{random, telemetry::chain};

/// How long to wait at most after the first conflict; twice as long after each further one, up to the maximum.
const CONFLICT_PAUSE: Duration = Duration::from_millis(1);
const CONFLICT_PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long a database that is down is left alone.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// How long nothing must have been committed before the host is asked whether it still commits.
const PROOF_PAUSE: Duration = Duration::from_secs(1);

/// Shows that customers can be written, and writes nothing.
const TOUCH: &str = "UPDATE customers SET version = version WHERE false";

/// One connection that writes.
pub(super) struct Writer {
    connector: Arc<Connector>,
    session: Option<Session>,
    /// When the database may be asked again.
    retry_at: Instant,
    /// Whether the last proof failed, and was reported.
    is_failing: bool,
}

/// Why a group is not committed.
enum Failure {
    /// Others wrote at the same time. Nothing was written.
    Conflict(StoreError),
    Store(StoreError),
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        match classify(&error) {
            SqlFailure::Conflict => Self::Conflict(store_error(&error)),
            SqlFailure::Transient | SqlFailure::Refused => Self::Store(store_error(&error)),
        }
    }
}

impl From<DamagedOutcome> for Failure {
    fn from(error: DamagedOutcome) -> Self {
        Self::Store(StoreError::failed(error))
    }
}

impl Writer {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, session: None, retry_at: Instant::now(), is_failing: false }
    }

    /// Tries again what the writes of others undid, and nothing else: if the connection was lost, nobody knows whether
    /// the group was committed, and to write it twice might undo a write in between.
    async fn try_commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
        let connector = Arc::clone(&self.connector);
        let session = self.session().await?;
        let (began, mut pause) = (Instant::now(), CONFLICT_PAUSE);
        loop {
            match timeout_at(began + ANSWER_TIMEOUT, session.commit(group)).await {
                Ok(Ok(())) => {
                    connector.note_commit(&session.driver);
                    return Ok(());
                }
                Ok(Err(Failure::Conflict(error))) if began.elapsed() + pause >= ANSWER_TIMEOUT => {
                    return Err(error);
                }
                Ok(Err(Failure::Conflict(_))) => sleep(part_of(pause)).await,
                Ok(Err(Failure::Store(error))) => return Err(error),
                Err(elapsed) => {
                    connector.give_up(&session.driver, began.into_std());
                    return Err(StoreError::unavailable(elapsed));
                }
            }
            pause = (pause * 2).min(CONFLICT_PAUSE_MAX);
        }
    }

    async fn try_prove(&mut self) -> Result<(), StoreError> {
        let connector = Arc::clone(&self.connector);
        let session = self.session().await?;
        connector.prove(&session.client, &session.driver, PROOF_TIMEOUT).await
    }

    async fn try_touch(&mut self) -> Result<(), StoreError> {
        self.try_prove().await?;
        let touch = self.session().await?.client.batch_execute(TOUCH).await;
        touch.map_err(|error| store_error(&error))
    }

    async fn session(&mut self) -> Result<&Session, StoreError> {
        let session = match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => session,
            None => Session::open(&self.connector).await?,
        };
        Ok(self.session.insert(session))
    }

    /// The next session may find another host.
    fn leave(&mut self) {
        self.session = None;
        self.retry_at = Instant::now() + CONNECT_PAUSE;
    }
}

/// A random part, so that replicas which undid each other's writes do not meet again.
fn part_of(pause: Duration) -> Duration {
    pause * u32::from(random::uuid().as_bytes()[0]) / 256
}

impl Engine for Writer {
    async fn commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
        sleep_until(self.retry_at).await;
        // Stable, so that the writes of one customer keep their order.
        group.sort_by(|a, b| a.key().cmp(&b.key()));
        let committed = self.try_commit(group).await;
        if let Err(StoreError::Unavailable(_)) = committed {
            self.leave();
        }
        committed
    }

    /// Shows that the host still commits, so that reads may go on. If not, it is asked again soon.
    async fn tidy_up(&mut self) -> bool {
        if self.connector.has_committed_within(PROOF_PAUSE) {
            return false;
        }
        sleep_until(self.retry_at).await;
        let proven = self.try_prove().await;
        if proven.is_err() {
            self.leave();
        }
        let was_failing = mem::replace(&mut self.is_failing, proven.is_err());
        if let Err(error) = &proven
            && !was_failing
        {
            tracing::warn!(cause = %chain(error), "the database does not commit");
        }
        proven.is_err()
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        sleep_until(self.retry_at).await;
        let probed = timeout(ANSWER_TIMEOUT, self.try_touch()).await;
        let probed = probed.unwrap_or_else(|elapsed| Err(StoreError::unavailable(elapsed)));
        if probed.is_err() {
            self.leave();
        }
        probed
    }
}

/// A connection with its prepared statements.
struct Session {
    client: Client,
    put: Statement,
    delete: Statement,
    driver: Driver,
}

impl Session {
    async fn open(connector: &Arc<Connector>) -> Result<Self, StoreError> {
        let (client, driver) = connector.connect_to_write().await?;
        let prepare = async {
            client.batch_execute(sql::BY_INDEX).await?;
            try_join!(client.prepare(sql::PUT), client.prepare(sql::DELETE))
        };
        let statements = timeout(PREPARE_TIMEOUT, prepare).await.map_err(StoreError::unavailable)?;
        let (put, delete) = statements.map_err(|error| StoreError::unavailable(describe(&error)))?;
        Ok(Self { client, put, delete, driver })
    }

    async fn commit(&self, group: &mut [Write]) -> Result<(), Failure> {
        let mut runs: Vec<&mut [Write]> = group.chunk_by_mut(may_share_a_statement).collect();
        match runs.as_mut_slice() {
            [run] => self.apply(run).await,
            _ => self.transact(runs).await,
        }
    }

    /// The futures are polled, and hence the statements sent, in the order given.
    async fn transact(&self, runs: Vec<&mut [Write]>) -> Result<(), Failure> {
        let begin = self.client.batch_execute("BEGIN").err_into().boxed();
        let runs = runs.into_iter().map(|run| self.apply(run).boxed());
        match try_join_all(iter::once(begin).chain(runs)).await {
            Ok(_) => Ok(self.client.batch_execute("COMMIT").await?),
            Err(failure) => {
                self.client.batch_execute("ROLLBACK").await?;
                Err(failure)
            }
        }
    }

    /// Carries out puts of different customers, or one delete.
    async fn apply(&self, run: &mut [Write]) -> Result<(), Failure> {
        match run {
            [write] if let Change::Delete { .. } = &write.change => self.delete(write).await,
            puts => self.put_all(puts).await,
        }
    }

    async fn put_all(&self, run: &mut [Write]) -> Result<(), Failure> {
        let rows = self.client.query(&self.put, &Puts::new(run).parameters()).await?;
        let mut outcomes = HashMap::with_capacity(rows.len());
        for row in &rows {
            let outcome = (row.try_get::<_, &[u8]>(1)?, row.try_get::<_, bool>(2)?);
            outcomes.insert(row.try_get::<_, &[u8]>(0)?, outcome);
        }
        for write in run {
            if let Change::Put { version, .. } = &write.change
                && let Some((outcome, is_repeated)) = outcomes.get(version.as_bytes())
            {
                write.fill(outcome, *is_repeated)?;
            }
        }
        Ok(())
    }

    async fn delete(&self, write: &mut Write) -> Result<(), Failure> {
        let Change::Delete { if_match, slot: _ } = &write.change else { return Ok(()) };
        let delete = Delete::new(write, if_match.as_deref());
        let row = self.client.query_one(&self.delete, &delete.parameters()).await?;
        Ok(write.fill(row.try_get(0)?, row.try_get(1)?)?)
    }
}

/// Whether two neighbours of a sorted group may be rows of one statement.
fn may_share_a_statement(a: &Write, b: &Write) -> bool {
    is_put(a) && is_put(b) && a.key() != b.key()
}

fn is_put(write: &Write) -> bool {
    matches!(write.change, Change::Put { .. })
}
