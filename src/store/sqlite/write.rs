//! The writer: commits a group as one transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{QueryResult, prelude::*, result::Error as DieselError, sqlite::SqliteConnection};

use super::{
    super::{
        error::StoreError,
        group::Engine,
        row::NewRow,
        schema::customers,
        types::{Condition, DeleteOutcome, PutOutcome},
        used::{Outcome as _, expired_before},
        version::Version,
        write::{Change, Write},
    },
    checkpoint::Checkpointer,
    connect::Connection,
    file::File,
    last_write::LastWrite,
    sql::{Insert, InsertUsed, PRUNE_ROWS_MAX, Prune, RaiseHighWater, SelectNewestSeq, SelectUsed, Update},
};
use crate::{signature_id::SignatureId, telemetry::chain};

/// After so many signed writes, expired signatures are pruned: up to twice as many as came, so that a backlog gets smaller.
const SIGNED_WRITES_MAX: usize = PRUNE_ROWS_MAX / 2;

/// After this time, expired signatures are pruned, however few writes came.
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// The only connection that writes customers.
pub(super) struct Writer {
    connection: Connection,
    file: Arc<File>,
    checkpointer: Checkpointer,
    /// How many signed writes came since the last pruning.
    signed_writes: usize,
    /// When the last pruning was.
    pruned_at: Instant,
}

impl Writer {
    pub(super) fn new(connection: Connection, file: Arc<File>, checkpointer: Checkpointer) -> Self {
        Self { connection, file, checkpointer, signed_writes: 0, pruned_at: Instant::now() }
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
        self.checkpointer.note(group.len());
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
    if let Some(signature) = &write.signature
        && let Some(first) = SelectUsed(signature).get_result::<Vec<u8>>(connection).optional()?
    {
        return write.fill(&first, true).map_err(|error| DieselError::DeserializationError(Box::new(error)));
    }
    let Write { account, customer_id, signature, timestamp, change } = write;
    match change {
        Change::Put { record, condition, version, slot } => {
            let (seq, created_at, updated_at) = (*newest_seq + 1, *timestamp, *timestamp);
            let signature_expires_at = signature.map(|signature| signature.expires_at);
            let row = NewRow {
                seq,
                account,
                customer_id,
                version,
                created_at,
                updated_at,
                signature_expires_at,
                record,
            };
            let may_create = matches!(condition, Condition::Always | Condition::Absent);
            if may_create && Insert(&row).execute(connection)? == 1 {
                *newest_seq = seq;
                slot.fill(PutOutcome::Created(*version));
                return Ok(());
            }
            match LastWrite::find(connection, account, customer_id)? {
                Some(last) if last.version() == *version => slot.fill_again(last.outcome()),
                last => slot.fill(replace(connection, &row, last, condition, signature.as_ref())?),
            }
        }
        Change::Delete { if_match, slot } => {
            let last = LastWrite::find(connection, account, customer_id)?;
            let outcome = delete(connection, account, customer_id, last, if_match.as_deref())?;
            if outcome == DeleteOutcome::Deleted {
                RaiseHighWater { timestamp: *timestamp, seq: *newest_seq }.execute(connection)?;
            }
            note(connection, signature.as_ref(), &outcome.to_bytes())?;
            slot.fill(outcome);
        }
    }
    Ok(())
}

/// Puts a customer that exists, if its last write meets the condition.
fn replace(
    connection: &mut SqliteConnection,
    row: &NewRow<'_>,
    last: Option<LastWrite>,
    condition: &Condition,
    signature: Option<&SignatureId>,
) -> QueryResult<PutOutcome> {
    let Some(last) = last.filter(|last| last.meets(condition)) else {
        note(connection, signature, &PutOutcome::ConditionFailed.to_bytes())?;
        return Ok(PutOutcome::ConditionFailed);
    };
    last.keep_signature(connection)?;
    Update(row).execute(connection)?;
    Ok(PutOutcome::Updated(*row.version))
}

fn delete(
    connection: &mut SqliteConnection,
    account: &str,
    customer_id: &str,
    last: Option<LastWrite>,
    if_match: Option<&[Version]>,
) -> QueryResult<DeleteOutcome> {
    let Some(last) = last else { return Ok(DeleteOutcome::NotFound) };
    if if_match.is_some_and(|versions| !versions.contains(&last.version())) {
        return Ok(DeleteOutcome::ConditionFailed);
    }
    last.keep_signature(connection)?;
    diesel::delete(customers::table.find((account, customer_id))).execute(connection)?;
    Ok(DeleteOutcome::Deleted)
}

/// Notes what a signature has done, if no row shows it.
fn note(
    connection: &mut SqliteConnection,
    signature: Option<&SignatureId>,
    outcome: &[u8],
) -> QueryResult<()> {
    let Some(SignatureId { expires_at, hash }) = signature else { return Ok(()) };
    InsertUsed { expires_at: *expires_at, hash, outcome }.execute(connection).map(drop)
}
