//! The writer: commits a group as one transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{QueryResult, prelude::*, result::Error as DieselError, sqlite::SqliteConnection};

use super::{
    super::{
        error::StoreError,
        group::{Change, Engine, Write},
        row::NewRow,
        schema::customers,
        types::{Condition, DeleteOutcome, PutOutcome},
        used::{Outcome as _, expired_before},
        version::Version,
    },
    connect::Connection,
    erase::Eraser,
    file::File,
    sql::{Insert, InsertUsed, PRUNE_ROWS_MAX, Prune, RaiseHighWater, SelectNewestSeq, SelectUsed, Update},
};
use crate::telemetry::chain;

/// After so many signed writes, expired signatures are pruned: up to twice as many as came, so that a backlog gets smaller.
const SIGNED_WRITES_MAX: usize = PRUNE_ROWS_MAX / 2;

/// After this time, expired signatures are pruned, however few writes came.
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// The only connection that writes customers.
pub(super) struct Writer {
    connection: Connection,
    file: Arc<File>,
    eraser: Eraser,
    /// How many signed writes came since the last pruning.
    signed_writes: usize,
    /// When the last pruning was.
    pruned_at: Instant,
}

impl Writer {
    pub(super) fn new(connection: Connection, file: Arc<File>, eraser: Eraser) -> Self {
        Self { connection, file, eraser, signed_writes: 0, pruned_at: Instant::now() }
    }

    /// A timestamp that no customer was created after: rows are in the order of their creation, unless they were imported
    /// or are gone, which is noted.
    pub(super) fn last_timestamp(&mut self) -> Result<i64, StoreError> {
        let last = diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "SELECT max(timestamp, coalesce((SELECT created_at FROM customers ORDER BY seq DESC LIMIT 1), 0)) \
             FROM high_water",
        );
        self.connection.run(|connection| last.get_result(connection))
    }

    /// Whether it is time to prune, after this group.
    fn prunes_after(&mut self, group: &[Write]) -> bool {
        self.signed_writes += group.iter().filter(|write| write.signature.is_some()).count();
        let is_due = self.signed_writes >= SIGNED_WRITES_MAX || self.pruned_at.elapsed() >= PRUNE_PAUSE;
        if is_due {
            (self.signed_writes, self.pruned_at) = (0, Instant::now());
        }
        is_due
    }
}

impl Engine for Writer {
    async fn commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
        let prunes = self.prunes_after(group);
        let transaction = |connection: &mut SqliteConnection| {
            let mut newest_seq = SelectNewestSeq.get_result(connection)?;
            group.iter_mut().try_for_each(|write| apply(connection, write, &mut newest_seq))?;
            if prunes { Prune(expired_before()).execute(connection).map(drop) } else { Ok(()) }
        };
        let committed = self.connection.run(|connection| connection.immediate_transaction(transaction));
        // What was written into a file that nobody finds again must not be acknowledged.
        self.file.check()?;
        committed?;
        if group.iter().any(Write::leaves_garbage) {
            self.eraser.note_garbage();
        }
        Ok(())
    }

    /// Prunes expired signatures.
    async fn tidy_up(&mut self) -> bool {
        if self.file.check().is_err() {
            return false;
        }
        let prune = |connection: &mut SqliteConnection| Prune(expired_before()).execute(connection);
        match self.connection.run_unless_locked(|connection| connection.immediate_transaction(prune)) {
            Ok(pruned) => pruned == Some(PRUNE_ROWS_MAX),
            Err(error) => {
                tracing::warn!(cause = %chain(&error), "expired signatures cannot be pruned");
                false
            }
        }
    }

    /// Writes a row as it is.
    async fn probe(&mut self) -> Result<(), StoreError> {
        self.file.check()?;
        let same = |connection: &mut SqliteConnection| {
            RaiseHighWater { timestamp: 0, seq: 0 }.execute(connection).map(drop)
        };
        self.connection.run(|connection| connection.immediate_transaction(same))
    }
}

/// Carries out a write, unless its signature was used before; then the outcome is the first one again.
fn apply(connection: &mut SqliteConnection, write: &mut Write, newest_seq: &mut i64) -> QueryResult<()> {
    let Some(signature) = write.signature else {
        return carry_out(connection, write, newest_seq).map(drop);
    };
    if let Some(first) = SelectUsed(&signature).get_result::<Vec<u8>>(connection).optional()? {
        return write.fill(&first, true).map_err(|error| DieselError::DeserializationError(Box::new(error)));
    }
    let outcome = carry_out(connection, write, newest_seq)?;
    InsertUsed { signature: &signature, outcome: &outcome }.execute(connection).map(drop)
}

/// Returns the outcome as bytes.
fn carry_out(
    connection: &mut SqliteConnection,
    write: &mut Write,
    newest_seq: &mut i64,
) -> QueryResult<Vec<u8>> {
    let Write { account, customer_id, signature: _, timestamp, change } = write;
    match change {
        Change::Put { record, condition, version, slot } => {
            let (seq, created_at, updated_at) = (*newest_seq + 1, *timestamp, *timestamp);
            let row = NewRow { seq, account, customer_id, version, created_at, updated_at, record };
            let outcome = put(connection, &row, condition)?;
            if let PutOutcome::Created(_) = outcome {
                *newest_seq = seq;
            }
            slot.fill(outcome);
            Ok(outcome.to_bytes())
        }
        Change::Delete { if_match, slot } => {
            let outcome = delete(connection, account, customer_id, if_match.as_deref())?;
            if outcome == DeleteOutcome::Deleted {
                RaiseHighWater { timestamp: *timestamp, seq: *newest_seq }.execute(connection)?;
            }
            slot.fill(outcome);
            Ok(outcome.to_bytes())
        }
    }
}

fn put(
    connection: &mut SqliteConnection,
    row: &NewRow<'_>,
    condition: &Condition,
) -> QueryResult<PutOutcome> {
    let may_create = matches!(condition, Condition::Always | Condition::Absent);
    if may_create && Insert(row).execute(connection)? == 1 {
        return Ok(PutOutcome::Created(*row.version));
    }
    let updated = match condition {
        Condition::Always | Condition::Present => Update { row, versions: None }.execute(connection)?,
        Condition::OneOf(versions) => Update { row, versions: Some(versions) }.execute(connection)?,
        Condition::Absent | Condition::Never => 0,
    };
    Ok(if updated == 1 { PutOutcome::Updated(*row.version) } else { PutOutcome::ConditionFailed })
}

fn delete(
    connection: &mut SqliteConnection,
    account: &str,
    customer_id: &str,
    if_match: Option<&[Version]>,
) -> QueryResult<DeleteOutcome> {
    let key = customers::table.find((account, customer_id));
    let Some(versions) = if_match else {
        let deleted = diesel::delete(key).execute(connection)?;
        return Ok(if deleted == 1 { DeleteOutcome::Deleted } else { DeleteOutcome::NotFound });
    };
    if diesel::delete(key.filter(is_one_of(versions))).execute(connection)? == 1 {
        return Ok(DeleteOutcome::Deleted);
    }
    let exists = diesel::select(diesel::dsl::exists(key)).get_result(connection)?;
    Ok(if exists { DeleteOutcome::ConditionFailed } else { DeleteOutcome::NotFound })
}

#[diesel::dsl::auto_type]
fn is_one_of<'a>(versions: &'a [Version]) -> _ {
    let bytes: Vec<&'a [u8]> = versions.iter().map(Version::as_bytes).collect();
    customers::version.eq_any(bytes)
}
