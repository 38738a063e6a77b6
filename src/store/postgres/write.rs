//! The writer: commits a group on one connection.
//!
//! It orders a group by key, so that all replicas lock rows in the same order and no two wait for each other. The writes
//! of one customer keep their order. Unconditional puts of different customers are one statement, and most groups are
//! one such statement. Any other group is a transaction whose statements are sent without waiting for each other's
//! answers. Its commit is sent last, when the answers have arrived in time, so that a group that was given up is never
//! committed behind the caller's back.
//!
//! This uses tokio-postgres and not diesel, which hides the SQLSTATE that tells a deadlock from a bad row.

use std::{collections::HashMap, iter, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{try_join_all, try_join5},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_postgres::{Client, Error as PostgresError, Statement, types::ToSql};

use super::{
    super::{
        error::StoreError,
        group::{Change, Engine, Write},
        row::NewRow,
        types::{Condition, DeleteOutcome, PutOutcome},
        version::Version,
    },
    connect::{ANSWER_TIMEOUT, Connector, Driver, PREPARE_TIMEOUT},
    error::{SqlFailure, classify, describe, store_error},
    sql::{self, Columns},
};

/// How often a group is tried that the writes of others undo.
const ATTEMPTS_MAX: u32 = 10;

/// How long to wait after the first conflict; twice as long after each further one, up to the maximum.
const CONFLICT_PAUSE: Duration = Duration::from_millis(1);
const CONFLICT_PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long a database that is down is left alone.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// One connection that writes.
pub(super) struct Writer {
    connector: Arc<Connector>,
    session: Option<Session>,
    /// When the database may be asked again.
    retry_at: Instant,
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

impl Writer {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, session: None, retry_at: Instant::now() }
    }

    /// Tries again what the writes of others undid, and nothing else: if the connection was lost, nobody knows whether
    /// the group was committed, and to write it twice might undo a write in between.
    async fn try_commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
        let (mut attempt, mut pause) = (1, CONFLICT_PAUSE);
        loop {
            let session = self.session().await?;
            let result = timeout(ANSWER_TIMEOUT, session.commit(group)).await;
            match result.unwrap_or_else(|elapsed| Err(Failure::Store(StoreError::unavailable(elapsed)))) {
                Ok(()) => return Ok(()),
                Err(Failure::Conflict(error)) if attempt == ATTEMPTS_MAX => return Err(error),
                Err(Failure::Conflict(_)) => sleep(pause).await,
                Err(Failure::Store(error)) => return Err(error),
            }
            attempt += 1;
            pause = (pause * 2).min(CONFLICT_PAUSE_MAX);
        }
    }

    async fn session(&mut self) -> Result<&Session, StoreError> {
        let session = match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => session,
            None => Session::open(&self.connector).await?,
        };
        Ok(self.session.insert(session))
    }
}

impl Engine for Writer {
    async fn commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
        sleep_until(self.retry_at).await;
        // Stable, so that the writes of one customer keep their order.
        group.sort_by(|a, b| a.key().cmp(&b.key()));
        let committed = self.try_commit(group).await;
        if let Err(StoreError::Unavailable(_)) = committed {
            // The next session may find another host.
            self.session = None;
            self.retry_at = Instant::now() + CONNECT_PAUSE;
        }
        committed
    }
}

/// A connection with its prepared statements.
struct Session {
    client: Client,
    put: Statement,
    insert: Statement,
    update: Statement,
    delete: Statement,
    delete_version: Statement,
    _driver: Driver,
}

impl Session {
    async fn open(connector: &Arc<Connector>) -> Result<Self, StoreError> {
        let (client, driver) = connector.reconnect().await?;
        let statements = try_join5(
            client.prepare(sql::PUT),
            client.prepare(sql::INSERT),
            client.prepare(sql::UPDATE),
            client.prepare(sql::DELETE),
            client.prepare(sql::DELETE_VERSION),
        );
        let statements = timeout(PREPARE_TIMEOUT, statements).await.map_err(StoreError::unavailable)?;
        let (put, insert, update, delete, delete_version) =
            statements.map_err(|error| StoreError::unavailable(describe(&error)))?;
        Ok(Self { client, put, insert, update, delete, delete_version, _driver: driver })
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

    /// Carries out unconditional puts of different customers, or one write of any kind.
    async fn apply(&self, run: &mut [Write]) -> Result<(), Failure> {
        let [write] = run else { return self.put_all(run).await };
        if is_unconditional_put(write) {
            return self.put_all(run).await;
        }
        let Write { account, customer_id, timestamp, change } = write;
        match change {
            Change::Put { record, condition, version, slot } => {
                let row = NewRow { account, customer_id, version, timestamp: *timestamp, record };
                slot.fill(self.put(&row, condition).await?);
            }
            Change::Delete { if_match, slot } => {
                slot.fill(self.delete(account, customer_id, if_match.as_deref()).await?);
            }
        }
        Ok(())
    }

    async fn put_all(&self, run: &mut [Write]) -> Result<(), Failure> {
        let columns = Columns::new(run.iter().filter_map(new_row));
        let stored = self.client.query(&self.put, &columns.parameters()).await?;
        let mut created = HashMap::with_capacity(stored.len());
        for row in &stored {
            created.insert((row.try_get(0)?, row.try_get(1)?), row.try_get::<_, bool>(2)?);
        }
        for Write { account, customer_id, timestamp: _, change } in run {
            if let Change::Put { version, slot, .. } = change
                && let Some(is_new) = created.get(&(account.as_str(), customer_id.as_str()))
            {
                slot.fill(outcome(*version, *is_new));
            }
        }
        Ok(())
    }

    async fn put(&self, row: &NewRow<'_>, condition: &Condition) -> Result<PutOutcome, Failure> {
        let versions: Option<Vec<&[u8]>> = match condition {
            Condition::Never => return Ok(PutOutcome::ConditionFailed),
            Condition::OneOf(versions) => Some(versions.iter().map(Version::as_bytes).collect()),
            Condition::Always | Condition::Absent | Condition::Present => None,
        };
        let version = row.version.as_bytes();
        let mut parameters = sql::parameters(row, &version);
        let is_insert = matches!(condition, Condition::Absent);
        let written = if is_insert {
            self.client.execute(&self.insert, &parameters).await?
        } else {
            parameters.push(&versions);
            self.client.execute(&self.update, &parameters).await?
        };
        Ok(if written == 1 { outcome(*row.version, is_insert) } else { PutOutcome::ConditionFailed })
    }

    async fn delete(
        &self,
        account: &str,
        customer_id: &str,
        if_match: Option<&[Version]>,
    ) -> Result<DeleteOutcome, Failure> {
        let Some(versions) = if_match else {
            let deleted = self.client.execute(&self.delete, &[&account, &customer_id]).await?;
            return Ok(if deleted == 1 { DeleteOutcome::Deleted } else { DeleteOutcome::NotFound });
        };
        let versions: Vec<&[u8]> = versions.iter().map(Version::as_bytes).collect();
        let parameters: [&(dyn ToSql + Sync); 3] = [&account, &customer_id, &versions];
        let row = self.client.query_one(&self.delete_version, &parameters).await?;
        Ok(match (row.try_get(0)?, row.try_get(1)?) {
            (_, true) => DeleteOutcome::Deleted,
            (true, false) => DeleteOutcome::ConditionFailed,
            (false, false) => DeleteOutcome::NotFound,
        })
    }
}

fn outcome(version: Version, is_new: bool) -> PutOutcome {
    if is_new { PutOutcome::Created(version) } else { PutOutcome::Updated(version) }
}

/// Whether two neighbours of a sorted group may be rows of one statement.
fn may_share_a_statement(a: &Write, b: &Write) -> bool {
    is_unconditional_put(a) && is_unconditional_put(b) && a.key() != b.key()
}

fn is_unconditional_put(write: &Write) -> bool {
    matches!(write.change, Change::Put { condition: Condition::Always, .. })
}

/// The row that a write puts; `None` for a delete.
fn new_row(write: &Write) -> Option<NewRow<'_>> {
    let Write { account, customer_id, timestamp, change } = write;
    let Change::Put { record, version, .. } = change else { return None };
    Some(NewRow { account, customer_id, version, timestamp: *timestamp, record })
}
