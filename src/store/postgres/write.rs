//! The writer: commits a group on one connection, as [`sql`] says.
//!
//! It orders a group by key, so that all replicas lock rows in the same order and no two wait for each other. The writes
//! of one customer keep their order.
//!
//! This uses tokio-postgres and not diesel, which hides the SQLSTATE that tells a deadlock from a bad row, and sends one
//! statement at a time.

use std::{sync::Arc, time::Duration};

use tokio::{
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
    try_join,
};
use tokio_postgres::{Client, Error as PostgresError, Statement};

use super::{
    super::{
        decide::{Change, Outcome},
        draft::{Draft, Found, decide_all},
        error::StoreError,
        feed::last_version,
        group::{Committer, Failure},
        row::CurrentRow,
        write::{Told, Write},
    },
    connect::{ANSWER_TIMEOUT, Connector, Driver, PREPARE_TIMEOUT, PROOF_TIMEOUT},
    error::{SqlFailure, classify, describe, store_error},
    numberer::Numberer,
    sql::{self, Columns, Parameter, at},
};
use crate::random;

/// How often a group is tried again that others have undone by what they wrote at the same time. What happens more often is
/// not by chance.
const CONFLICTS_MAX: u32 = 5;

/// How long to wait at most after the first conflict; twice as long after each further one.
const CONFLICT_PAUSE: Duration = Duration::from_millis(1);

/// How long a database that is down is left alone.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// How long nothing must have been committed before the host is asked whether it still commits.
const PROOF_PAUSE: Duration = Duration::from_secs(1);

/// Shows that customers can be written, and writes nothing.
const TOUCH: &str = "UPDATE customers SET version = version WHERE false";

/// One connection that writes.
pub(super) struct Writer {
    connector: Arc<Connector>,
    numberer: Arc<Numberer>,
    session: Option<Session>,
    /// When the database may be asked again.
    retry_at: Instant,
}

impl Writer {
    pub(super) fn new(connector: Arc<Connector>, numberer: Arc<Numberer>) -> Self {
        Self { connector, numberer, session: None, retry_at: Instant::now() }
    }

    /// Tries again what the writes of others undid, and nothing else: if the connection was lost, nobody knows whether
    /// the group was committed, and to write it twice might undo a write in between.
    async fn try_commit(&mut self, group: &[Write]) -> Result<Vec<Told>, Failure> {
        let (connector, numberer) = (Arc::clone(&self.connector), Arc::clone(&self.numberer));
        if group.iter().any(|write| matches!(write.change, Change::Import { .. })) {
            // So that there is little left to do while the customers are locked.
            numberer.number_all().await?;
        }
        let session = self.session().await?;
        let (began, mut conflicts) = (Instant::now(), 0);
        loop {
            let error = match timeout_at(began + ANSWER_TIMEOUT, session.commit(group, &numberer)).await {
                Ok(Ok(told)) => {
                    connector.note_commit(&session.driver);
                    if told.iter().flatten().any(|done| done.event_type.is_some()) {
                        numberer.note_commit();
                    }
                    return Ok(told);
                }
                Ok(Err(CommitError::Sql(error))) => error,
                Ok(Err(CommitError::Numbering(error))) => return Err(error.into()),
                Err(elapsed) => {
                    connector.give_up(&session.driver, began.into_std());
                    return Err(StoreError::unavailable(elapsed).into());
                }
            };
            match classify(&error) {
                SqlFailure::Conflict if conflicts < CONFLICTS_MAX => {
                    sleep(part_of(CONFLICT_PAUSE * 2_u32.pow(conflicts))).await;
                    conflicts += 1;
                }
                SqlFailure::Conflict => return Err(Failure::Refused(store_error(&error))),
                SqlFailure::Transient | SqlFailure::Refused => return Err(store_error(&error).into()),
            }
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

impl Committer for Writer {
    async fn commit(&mut self, group: &mut [Write]) -> Result<Vec<Told>, Failure> {
        sleep_until(self.retry_at).await;
        // Stable, so that the writes of one customer keep their order.
        group.sort_by(|a, b| a.key().cmp(&b.key()));
        let committed = self.try_commit(group).await;
        if let Err(Failure::Away(_)) = committed {
            self.leave();
        }
        committed
    }

    /// Shows that the host still commits, so that reads may go on. If not, it is asked again soon.
    async fn tidy_up(&mut self) -> bool {
        let mut proven = Ok(());
        if !self.connector.has_committed_within(PROOF_PAUSE) {
            sleep_until(self.retry_at).await;
            proven = self.try_prove().await;
        }
        if proven.is_err() {
            self.leave();
        }
        self.connector.outage.note(&proven, "the database does not commit", "the database commits again");
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

/// Why a group was not committed.
enum CommitError {
    Sql(PostgresError),
    /// The events of before could not be numbered, without which an import cannot be decided.
    Numbering(StoreError),
}

impl From<PostgresError> for CommitError {
    fn from(error: PostgresError) -> Self {
        Self::Sql(error)
    }
}

/// A connection with its prepared statements.
struct Session {
    client: Client,
    driver: Driver,
    statements: Statements,
}

/// Makes a type of these statements, which are prepared side by side.
macro_rules! statements {
    ($($name:ident: $text:expr,)+) => {
        struct Statements {
            $($name: Statement,)+
        }

        impl Statements {
            async fn prepare(client: &Client) -> Result<Self, PostgresError> {
                client.batch_execute(sql::BY_INDEX).await?;
                client.batch_execute(sql::WRITER).await?;
                let ($($name,)+) = try_join!($(client.prepare($text),)+)?;
                Ok(Self { $($name,)+ })
            }
        }
    };
}

statements! {
    lock: sql::LOCK,
    look_up: sql::LOOK_UP,
    look_up_used: sql::LOOK_UP_USED,
    look_up_last: sql::LOOK_UP_LAST,
    delete: sql::DELETE,
    insert: sql::INSERT,
    update: sql::UPDATE,
    insert_used: sql::INSERT_USED,
    insert_events: sql::INSERT_EVENTS,
}

impl Session {
    async fn open(connector: &Arc<Connector>) -> Result<Self, StoreError> {
        let (client, driver) = connector.connect_to_write().await?;
        let statements = timeout(PREPARE_TIMEOUT, Statements::prepare(&client)).await;
        let statements = statements.map_err(StoreError::unavailable)?;
        let statements = statements.map_err(|error| StoreError::unavailable(describe(&error)))?;
        Ok(Self { client, driver, statements })
    }

    /// Looks up, decides, and applies, in one transaction.
    async fn commit(&self, group: &[Write], numberer: &Numberer) -> Result<Vec<Told>, CommitError> {
        let applied = async {
            let mut found = self.look_up(group).await?;
            if group.iter().any(|write| matches!(write.change, Change::Import { .. })) {
                numberer.number_all().await.map_err(CommitError::Numbering)?;
                self.look_up_last(group, &mut found).await?;
            }
            let (told, draft) = decide_all(group, found);
            self.apply(&draft).await?;
            Ok(told)
        };
        let applied = applied.await;
        if applied.is_err() && !self.client.is_closed() {
            self.client.batch_execute("ROLLBACK").await?;
        }
        applied
    }

    /// The futures are polled, and hence the statements sent, in the order given, without waiting for each other's answers.
    async fn look_up(&self, group: &[Write]) -> Result<Vec<Found>, PostgresError> {
        let Statements { lock, look_up, look_up_used, .. } = &self.statements;
        let locks = sql::locks(group);
        let (accounts, customer_ids): (Vec<_>, Vec<_>) = group.iter().map(Write::key).unzip();
        let (expires_at, hashes) = sql::signatures(group);
        let locks: [Parameter<'_>; 1] = [&locks];
        let keys: [Parameter<'_>; 2] = [&accounts, &customer_ids];
        let signatures: [Parameter<'_>; 2] = [&expires_at, &hashes];
        let ((), _, customers, used) = try_join!(
            biased;
            self.client.batch_execute(sql::BEGIN),
            self.client.execute(lock, &locks),
            self.client.query(look_up, &keys),
            async {
                // Most groups of unsigned writes have nothing to look up.
                if expires_at.iter().all(Option::is_none) {
                    return Ok(Vec::new());
                }
                self.client.query(look_up_used, &signatures).await
            },
        )?;
        let mut found: Vec<Found> = group.iter().map(|_| Found::default()).collect();
        for row in &customers {
            if let Some(found) = at(&mut found, row.try_get(0)?) {
                let row = CurrentRow(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
                found.current = Some(row.into());
            }
        }
        for row in &used {
            if let Some(found) = at(&mut found, row.try_get(0)?) {
                found.used = Some(Outcome::from_bytes(row.try_get(1)?));
            }
        }
        Ok(found)
    }

    /// Looks up what an import is decided from besides.
    async fn look_up_last(&self, group: &[Write], found: &mut [Found]) -> Result<(), PostgresError> {
        let (accounts, customer_ids): (Vec<_>, Vec<_>) = group.iter().map(Write::key).unzip();
        let keys: [Parameter<'_>; 2] = [&accounts, &customer_ids];
        for row in &self.client.query(&self.statements.look_up_last, &keys).await? {
            if let Some(found) = at(found, row.try_get(0)?) {
                found.last = last_version(row.try_get(1)?, row.try_get(2)?);
            }
        }
        Ok(())
    }

    /// Sends all statements and the commit without waiting for answers: if one fails, the server commits nothing.
    async fn apply(&self, draft: &Draft<'_>) -> Result<(), PostgresError> {
        let Statements { delete, insert, update, insert_used, insert_events, .. } = &self.statements;
        let Draft { deleted, inserted, updated, used, events, high_water: _ } = draft;
        try_join!(
            biased;
            self.execute(delete, deleted.len(), sql::keys(deleted)),
            self.execute(insert, inserted.len(), sql::rows(inserted)),
            self.execute(update, updated.len(), sql::changes(updated)),
            self.execute(insert_used, used.len(), sql::used(used)),
            self.execute(insert_events, events.len(), sql::events(events)),
            self.client.batch_execute("COMMIT"),
        )?;
        Ok(())
    }

    /// Nothing is sent if there are no rows.
    async fn execute(
        &self,
        statement: &Statement,
        rows: usize,
        columns: Columns<'_>,
    ) -> Result<(), PostgresError> {
        if rows > 0 {
            let columns: Vec<Parameter<'_>> = columns.iter().map(AsRef::as_ref).collect();
            self.client.execute(statement, &columns).await?;
        }
        Ok(())
    }
}
