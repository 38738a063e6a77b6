//! The writer: commits a group as one transaction.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use diesel::{QueryResult, prelude::*, sqlite::SqliteConnection};

use super::{
    super::{
        decide::{Change, Event, Outcome},
        draft::{Draft, Found, Key, NewRow, decide_all},
        error::StoreError,
        feed::{event_type_number, last_version},
        followers::Followers,
        group::{Committer, Failure},
        row::CurrentRow,
        used::expired_before,
        version::Version,
        write::{Told, Write},
    },
    checkpoint::Checkpointer,
    connect::Connection,
    file::File,
    sql::{
        Delete, Insert, InsertEvent, InsertUsed, PRUNE_ROWS_MAX, Prune, PutNewestEvent, RaiseHighWater,
        SelectCurrent, SelectLastEvent, SelectNewestEvent, SelectNewestSeq, SelectUsed, Update,
    },
};
use crate::{signature_id::SignatureId, telemetry::Outage};

/// Which part of the time of each group a process that writes many leaves the database to others, and how long at most.
const REST_PART: u32 = 4;
const REST_MAX: Duration = Duration::from_millis(50);

/// After so many signed writes, expired signatures are pruned: up to twice as many as came, so that a backlog gets smaller.
const SIGNED_WRITES_MAX: usize = PRUNE_ROWS_MAX / 2;

/// After this time, expired signatures are pruned, however few writes came.
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// The only connection that writes customers.
pub(super) struct Writer {
    connection: Connection,
    file: Arc<File>,
    checkpointer: Checkpointer,
    followers: Followers,
    /// How many signed writes came since the last pruning.
    signed_writes: usize,
    pruned_at: Instant,
    outage: Outage,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        file: Arc<File>,
        checkpointer: Checkpointer,
        followers: Followers,
    ) -> Self {
        let (pruned_at, outage) = (Instant::now(), Outage::new());
        Self { connection, file, checkpointer, followers, signed_writes: 0, pruned_at, outage }
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
        self.signed_writes += group.iter().filter(|write| write.change.signature().is_some()).count();
        let is_due = self.signed_writes >= SIGNED_WRITES_MAX || self.pruned_at.elapsed() >= PRUNE_PAUSE;
        if is_due {
            (self.signed_writes, self.pruned_at) = (0, Instant::now());
        }
        is_due
    }
}

impl Committer for Writer {
    async fn commit(&mut self, group: &mut [Write]) -> Result<Vec<Told>, Failure> {
        let prunes = self.prunes_after(group);
        let transaction = |connection: &mut SqliteConnection| {
            let (told, draft) = decide_all(group, look_up(connection, group)?);
            apply(connection, &draft)?;
            let newest = add_events(connection, &draft.events)?;
            if prunes {
                Prune { expired_before: expired_before() }.execute(connection)?;
            }
            Ok((told, newest))
        };
        let began = Instant::now();
        let committed = self.connection.run(|connection| connection.immediate_transaction(transaction));
        if group.iter().any(|write| matches!(write.change, Change::Import { .. } | Change::Reseal { .. })) {
            // The service waits for the lock by polling, and would find it taken for as long as `import` or `seal apply` writes.
            thread::sleep((began.elapsed() / REST_PART).min(REST_MAX));
        }
        // What was written into a file that nobody finds again must not be acknowledged.
        self.file.check()?;
        let (told, newest) = committed?;
        self.followers.publish(newest);
        self.checkpointer.note(group.len());
        Ok(told)
    }

    async fn tidy_up(&mut self) -> bool {
        if self.file.check().is_err() {
            return false;
        }
        let prune = |connection: &mut SqliteConnection| {
            Prune { expired_before: expired_before() }.execute(connection)
        };
        let pruned = self.connection.run_unless_locked(|connection| connection.immediate_transaction(prune));
        self.outage.note(
            &pruned,
            "expired signatures cannot be pruned",
            "expired signatures are pruned again",
        );
        pruned.is_ok_and(|pruned| pruned == Some(PRUNE_ROWS_MAX))
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

/// Looks up what each write is decided from.
fn look_up(connection: &mut SqliteConnection, group: &[Write]) -> QueryResult<Vec<Found>> {
    let find = |write: &Write| {
        let (account, customer_id) = write.key();
        let select = SelectCurrent { account, customer_id };
        let current = select.get_result::<CurrentRow>(connection).optional()?.map(CurrentRow::into);
        let mut found = Found { current, ..Found::default() };
        if let Some(SignatureId { expires_at, hash }) = write.change.signature() {
            let select = SelectUsed { expires_at, hash: &hash };
            let used = select.get_result::<Vec<u8>>(connection).optional()?;
            found.used = used.map(|outcome| Outcome::from_bytes(&outcome));
        }
        if let Change::Import { .. } = write.change {
            let select = SelectLastEvent { account, customer_id };
            let last = select.get_result::<(i64, Vec<u8>)>(connection).optional()?;
            found.last = last.and_then(|(event_type, event_id)| last_version(event_type, &event_id));
        }
        Ok(found)
    };
    group.iter().map(find).collect()
}

fn apply(connection: &mut SqliteConnection, draft: &Draft<'_>) -> QueryResult<()> {
    let newest_seq: i64 = SelectNewestSeq {}.get_result(connection)?;
    if let Some(timestamp) = draft.high_water {
        RaiseHighWater { timestamp, seq: newest_seq }.execute(connection)?;
    }
    for &(account, customer_id) in &draft.deleted {
        Delete { account, customer_id }.execute(connection)?;
    }
    for (seq, row) in (newest_seq + 1..).zip(&draft.inserted) {
        let NewRow { key, version, created, updated, signature_expires_at, record, imported: _ } = *row;
        let insert = Insert {
            seq,
            account: key.0,
            customer_id: key.1,
            version: version.as_bytes(),
            created_at: created,
            updated_at: updated,
            signature_expires_at,
            sealed_by: record.sealed_by.as_deref(),
            record: &record.bytes,
        };
        insert.execute(connection)?;
    }
    for row in &draft.updated {
        let NewRow { key, version, created: _, updated, signature_expires_at, record, imported: _ } = *row;
        let update = Update {
            version: version.as_bytes(),
            updated_at: updated,
            signature_expires_at,
            sealed_by: record.sealed_by.as_deref(),
            record: &record.bytes,
            account: key.0,
            customer_id: key.1,
        };
        update.execute(connection)?;
    }
    for (SignatureId { expires_at, hash }, outcome) in &draft.used {
        InsertUsed { expires_at: *expires_at, hash, outcome: &outcome.to_bytes() }.execute(connection)?;
    }
    Ok(())
}

/// Writes events after those that are there. Returns the newest position of each account that has any.
fn add_events<'a>(
    connection: &mut SqliteConnection,
    events: &[(Key<'a>, Event)],
) -> QueryResult<BTreeMap<&'a str, i64>> {
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    for ((account, customer_id), event) in events {
        let position = match newest.get(account) {
            Some(newest) => newest + 1,
            None => SelectNewestEvent { account }.get_result::<i64>(connection).optional()?.unwrap_or(0) + 1,
        };
        newest.insert(account, position);
        let Event { id, event_type, occurred, previous, key_id } = event;
        let insert = InsertEvent {
            account,
            position,
            customer_id,
            event_id: id.as_bytes(),
            event_type: event_type_number(*event_type),
            occurred_at: *occurred,
            previous: previous.as_ref().map(Version::as_bytes),
            key_id: key_id.as_deref(),
        };
        insert.execute(connection)?;
    }
    for (account, newest) in &newest {
        PutNewestEvent { account, newest: *newest }.execute(connection)?;
    }
    Ok(newest)
}
