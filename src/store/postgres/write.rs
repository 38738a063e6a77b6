//! Group commit on Postgres.
//!
//! A lane is one connection, and all writes of one customer go through the same lane. It takes what waits as a group,
//! ordered by key, so that all replicas lock rows in the same order and none waits for another in a circle; writes of
//! one customer keep their order. Unconditional puts of different customers are one statement, and most groups are
//! one such statement. Any other group is a transaction whose statements are sent without waiting for each other's
//! answers; its commit is sent last, when the answers are there and in time, so that what was given up is never
//! committed behind the caller's back.
//!
//! This speaks tokio-postgres and not diesel, which hides the SQLSTATE that tells a deadlock from a bad row.

use std::{collections::HashMap, iter, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{try_join, try_join_all, try_join5},
};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Error as PostgresError, Statement, types::ToSql};

use super::{
    super::{
        Condition, Delete, Put, StoreError, Version,
        group::{Groups, Outcome, Stamps, Write},
        row::NewCustomer,
    },
    connect::{ANSWER_TIMEOUT, Connector, Driver, Fault, describe, fault, meaning},
    sql::{self, Columns},
};
use crate::telemetry::chain;

/// How often a group is tried that others' writes undo.
const ATTEMPTS_MAX: u32 = 10;

/// How long to leave the others alone after the first time; twice as long after each further one, up to the maximum.
const CONFLICT_PAUSE: Duration = Duration::from_millis(1);
const CONFLICT_PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long a database that is down is left alone.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// One connection that writes.
pub(super) struct Lane {
    connector: Arc<Connector>,
    stamps: Arc<Stamps>,
    session: Option<Session>,
}

/// A write on its way, and the moment at which it was taken.
struct Pending {
    write: Write,
    moment: i64,
}

impl Pending {
    /// Whether it can be one row of many in a statement.
    fn is_plain(&self) -> bool {
        matches!(self.write, Write::Put { condition: Condition::Always, .. })
    }
}

/// Why a group is not committed.
enum Failure {
    /// Others wrote at the same time; nothing was done.
    Conflict(StoreError),
    Store(StoreError),
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        match fault(&error) {
            Fault::Conflict => Self::Conflict(meaning(&error)),
            Fault::Passing | Fault::Refused => Self::Store(meaning(&error)),
        }
    }
}

impl Lane {
    pub(super) fn new(connector: Arc<Connector>, stamps: Arc<Stamps>) -> Self {
        Self { connector, stamps, session: None }
    }

    /// Writes until nobody is left who could ask for more.
    pub(super) async fn run(mut self, mut queue: Groups) {
        loop {
            let pending = |write| Pending { write, moment: self.stamps.next() };
            let mut group: Vec<_> = queue.next().await.into_iter().map(pending).collect();
            if group.is_empty() {
                return;
            }
            // Stable, so that a customer's writes keep their order.
            group.sort_by(|a, b| a.write.key().cmp(&b.write.key()));
            if self.settle(group).await.is_err() {
                sleep(CONNECT_PAUSE).await;
            }
        }
    }

    /// Commits a group and tells everybody. Should a write be refused, each is tried alone, so that a bad one harms no
    /// other. An error means that the database is not there.
    async fn settle(&mut self, group: Vec<Pending>) -> Result<(), ()> {
        match self.commit(&group).await {
            Ok(outcomes) => {
                iter::zip(group, outcomes).for_each(|(pending, outcome)| pending.write.tell(Ok(outcome)));
                Ok(())
            }
            Err(StoreError::Unavailable(cause)) => {
                let cause = chain(cause.as_ref());
                for pending in group {
                    pending.write.tell(Err(StoreError::unavailable(cause.clone())));
                }
                Err(())
            }
            Err(error) if group.len() == 1 => {
                iter::zip(group, [error]).for_each(|(one, error)| one.write.tell(Err(error)));
                Ok(())
            }
            Err(_) => {
                let mut settled = Ok(());
                for one in group {
                    settled = settled.and(Box::pin(self.settle(vec![one])).await);
                }
                settled
            }
        }
    }

    /// Tries again what others' writes undid, and nothing else: whether a group whose connection was lost came to be
    /// cannot be known, and doing it twice might undo a write in between.
    async fn commit(&mut self, group: &[Pending]) -> Result<Vec<Outcome>, StoreError> {
        let (mut attempt, mut pause) = (1, CONFLICT_PAUSE);
        loop {
            let session = self.session().await?;
            let result = timeout(ANSWER_TIMEOUT, session.commit(group)).await;
            match result.unwrap_or_else(|elapsed| Err(Failure::Store(StoreError::unavailable(elapsed)))) {
                Ok(outcomes) => return Ok(outcomes),
                Err(Failure::Conflict(error)) if attempt == ATTEMPTS_MAX => return Err(error),
                Err(Failure::Conflict(_)) => sleep(pause).await,
                Err(Failure::Store(error)) => {
                    if matches!(error, StoreError::Unavailable(_)) {
                        // The next one may find another host.
                        self.session = None;
                    }
                    return Err(error);
                }
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

/// A connection, with everything prepared.
struct Session {
    client: Client,
    put: Statement,
    insert: Statement,
    update: Statement,
    delete: Statement,
    exists: Statement,
    _driver: Driver,
}

impl Session {
    async fn open(connector: &Arc<Connector>) -> Result<Self, StoreError> {
        let (client, driver) = connector.reconnect().await?;
        let (put, insert, update, delete, exists) = try_join5(
            client.prepare(sql::PUT),
            client.prepare(sql::INSERT),
            client.prepare(sql::UPDATE),
            client.prepare(sql::DELETE),
            client.prepare(sql::EXISTS),
        )
        .await
        .map_err(|error| StoreError::unavailable(describe(&error)))?;
        Ok(Self { client, put, insert, update, delete, exists, _driver: driver })
    }

    async fn commit(&self, group: &[Pending]) -> Result<Vec<Outcome>, Failure> {
        let distinct = |a: &Pending, b: &Pending| a.write.key() != b.write.key();
        let runs: Vec<_> = group.chunk_by(|a, b| a.is_plain() && b.is_plain() && distinct(a, b)).collect();
        match runs.as_slice() {
            [run] => self.apply(run).await,
            runs => self.transact(runs).await,
        }
    }

    /// The futures are polled, and hence the statements sent, in the order given.
    async fn transact(&self, runs: &[&[Pending]]) -> Result<Vec<Outcome>, Failure> {
        let begin = self.client.batch_execute("BEGIN").map_ok(|()| Vec::new()).err_into().boxed();
        let runs = runs.iter().map(|run| self.apply(run).boxed());
        match try_join_all(iter::once(begin).chain(runs)).await {
            Ok(outcomes) => {
                self.client.batch_execute("COMMIT").await?;
                Ok(outcomes.concat())
            }
            Err(failure) => {
                self.client.batch_execute("ROLLBACK").await?;
                Err(failure)
            }
        }
    }

    /// Unconditional puts of different customers, or any other write alone.
    async fn apply(&self, run: &[Pending]) -> Result<Vec<Outcome>, Failure> {
        match run {
            [Pending { write: Write::Delete { account, customer_id, if_match, reply: _ }, moment: _ }] => {
                let delete = self.delete(account, customer_id, if_match.as_deref()).await?;
                Ok(vec![Outcome::Delete(delete)])
            }
            [Pending { write: Write::Put { row, condition, reply: _ }, moment }]
                if *condition != Condition::Always =>
            {
                Ok(vec![Outcome::Put(self.put(row, condition, *moment).await?)])
            }
            run => self.put_all(run).await,
        }
    }

    async fn put_all(&self, run: &[Pending]) -> Result<Vec<Outcome>, Failure> {
        let rows = run.iter().filter_map(|pending| match &pending.write {
            Write::Put { row, .. } => Some((row.as_ref(), pending.moment)),
            Write::Delete { .. } => None,
        });
        let (rows, moments): (Vec<&NewCustomer>, Vec<i64>) = rows.unzip();
        let columns = Columns::new(&rows);
        let stored = self.client.query(&self.put, &columns.parameters(&moments)).await?;
        let mut created = HashMap::with_capacity(stored.len());
        for row in &stored {
            created.insert((row.try_get(0)?, row.try_get(1)?), row.try_get::<_, bool>(2)?);
        }
        let outcome = |row: &&NewCustomer| {
            let is_new = created.get(&(row.account.as_str(), row.customer_id.as_str()));
            let is_new = is_new.ok_or_else(|| StoreError::failed("a put returned no row"));
            Ok(Outcome::Put(put(row, *is_new.map_err(Failure::Store)?)?))
        };
        rows.iter().map(outcome).collect()
    }

    async fn put(&self, row: &NewCustomer, condition: &Condition, moment: i64) -> Result<Put, Failure> {
        let versions: Option<Vec<&[u8]>> = match condition {
            Condition::Never => return Ok(Put::ConditionFailed),
            Condition::OneOf(versions) => Some(versions.iter().map(Version::as_bytes).collect()),
            Condition::Always | Condition::Absent | Condition::Present => None,
        };
        let mut parameters = sql::parameters(row);
        parameters.push(&moment);
        let is_insert = matches!(condition, Condition::Absent);
        let written = if is_insert {
            self.client.execute(&self.insert, &parameters).await?
        } else {
            parameters.push(&versions);
            self.client.execute(&self.update, &parameters).await?
        };
        if written == 1 { put(row, is_insert) } else { Ok(Put::ConditionFailed) }
    }

    async fn delete(
        &self,
        account: &str,
        customer_id: &str,
        if_match: Option<&[Version]>,
    ) -> Result<Delete, Failure> {
        let versions: Option<Vec<&[u8]>> =
            if_match.map(|versions| versions.iter().map(Version::as_bytes).collect());
        let key: [&(dyn ToSql + Sync); 2] = [&account, &customer_id];
        let parameters: [&(dyn ToSql + Sync); 3] = [&account, &customer_id, &versions];
        let (deleted, is_there) = try_join(
            self.client.execute(&self.delete, &parameters),
            self.client.query_one(&self.exists, &key),
        )
        .await?;
        Ok(match (deleted, is_there.try_get(0)?) {
            (0, false) => Delete::NotFound,
            (0, true) => Delete::ConditionFailed,
            _ => Delete::Deleted,
        })
    }
}

fn put(row: &NewCustomer, is_new: bool) -> Result<Put, Failure> {
    let version = Version::from_bytes(&row.version);
    let version = version.ok_or_else(|| Failure::Store(StoreError::failed("a version is malformed")))?;
    Ok(if is_new { Put::Created(version) } else { Put::Updated(version) })
}
