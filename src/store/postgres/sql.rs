//! The statements that write, and their parameters: one array for each column.
//!
//! A group is one transaction of two parts. The first part locks and looks up, one statement after the other, so that each
//! sees what was committed before the locks of the one before were taken:
//!
//! 1. [`BEGIN`], and [`LOCK`]: a lock for the key of each customer of the group, whether there is a row or not. Every writer
//!    takes it, and keeps it until its commit.
//! 2. [`LOOK_UP`] reads the rows and locks them, too: an older version of the service, or somebody's own SQL, knows nothing
//!    of the other locks.
//! 3. [`LOOK_UP_USED`] reads what the signatures have done. Whoever replaced one of the rows has noted its signature before,
//!    in the same transaction.
//!
//! The second part writes what was decided, and commits.

use aws_lc_rs::digest::{SHA256, digest};
use tokio_postgres::types::ToSql;

use super::super::{
    decide::{Event, Outcome},
    draft::{Key, NewRow},
    feed::event_type_number,
    row::current_row,
    version::Version,
    write::Write,
};
use crate::signature_id::SignatureId;

/// What a session begins with whose statements find their rows by an index. Without this, a statement that is planned while
/// a table is nearly empty would go on to read all of it when it is large. It is planned once, because with these settings
/// there is one plan, however many rows it is asked for.
pub(super) const BY_INDEX: &str = "\
    SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan";

/// What a session that writes begins with, besides. The server ends it if it stops between the two parts of a transaction,
/// long before those that wait for its locks give up.
pub(super) const WRITER: &str = "SET idle_in_transaction_session_timeout = 2000";

/// What the session that numbers begins with. Its statement sorts.
pub(super) const NUMBERING: &str = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";

/// Each statement has a snapshot of its own, whatever the database's own setting is.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Takes a lock for each number, in the order in which they are given.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key";

/// Locks the customers that exist, in the order of their keys. Returns the place of each, counted from 1, and its row. A
/// sub-query that cannot be pulled up is made by key for each row, whatever the server knows of the table.
pub(super) const LOOK_UP: &str = concat!(
    "SELECT asked.place, found.* \
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (account, customer_id, place), LATERAL (SELECT ",
    current_row!(),
    " FROM customers WHERE account = asked.account AND customer_id = asked.customer_id FOR UPDATE) AS found"
);

/// Returns the place of each signature that was used, and what it has done.
pub(super) const LOOK_UP_USED: &str = "\
    SELECT asked.place, outcome \
    FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY AS asked (expires_at, hash, place), LATERAL ( \
        SELECT outcome FROM used_signatures \
        WHERE expires_at = asked.expires_at AND hash = asked.hash LIMIT 1 \
    ) AS used";

pub(super) const DELETE: &str = "\
    DELETE FROM customers USING unnest($1::text[], $2::text[]) AS gone (account, customer_id) \
    WHERE customers.account = gone.account AND customers.customer_id = gone.customer_id";

pub(super) const INSERT: &str = "\
    INSERT INTO customers \
        (account, customer_id, version, updated_at, signature_expires_at, sealed_by, record, created_at, imported_at) \
    SELECT * FROM unnest( \
        $1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], $8::bigint[], \
        $9::bigint[] \
    )";

pub(super) const UPDATE: &str = "\
    UPDATE customers SET version = new.version, updated_at = new.updated_at, \
        signature_expires_at = new.signature_expires_at, sealed_by = new.sealed_by, record = new.record \
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[]) \
        AS new (account, customer_id, version, updated_at, signature_expires_at, sealed_by, record) \
    WHERE customers.account = new.account AND customers.customer_id = new.customer_id";

/// A signature may be noted already: older versions of the service have left such rows.
pub(super) const INSERT_USED: &str = "\
    INSERT INTO used_signatures (expires_at, hash, outcome) \
    SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) ON CONFLICT DO NOTHING";

/// Returns the place of each customer that has had an event, and the type and the id of the last one. As long as the customers
/// are locked, there is none that has no position yet, if what was committed has been numbered since.
pub(super) const LOOK_UP_LAST: &str = "\
    SELECT asked.place, event_type, event_id \
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (account, customer_id, place), LATERAL ( \
        SELECT event_type, event_id FROM events \
        WHERE account || '' = asked.account AND customer_id = asked.customer_id ORDER BY position DESC LIMIT 1 \
    ) AS last";

/// One row for all events of a group, in the order of the writes.
pub(super) const INSERT_EVENTS: &str = "\
    INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at, previous, key_id) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Deletes used signatures that expired in this time, the oldest first: at most [`PRUNE_ROWS_MAX`]. Returns how many, and
/// when the last of them expired. Rows that another replica is deleting are left to it.
pub(super) const PRUNE: &str = "\
    WITH expired AS MATERIALIZED ( \
        SELECT expires_at, hash FROM used_signatures WHERE expires_at >= $1 AND expires_at < $2 \
        ORDER BY expires_at, hash LIMIT 1000 FOR UPDATE SKIP LOCKED \
    ), pruned AS ( \
        DELETE FROM used_signatures \
        WHERE (expires_at, hash) IN (SELECT expires_at, hash FROM expired) RETURNING expires_at \
    ) \
    SELECT count(*) AS count, max(expires_at) AS last FROM pruned";

pub(super) const PRUNE_ROWS_MAX: i64 = 1000;

/// What belongs to the place that a statement returns, counted from 1.
pub(super) fn at<T>(items: &mut [T], place: i64) -> Option<&mut T> {
    items.get_mut(usize::try_from(place - 1).ok()?)
}

/// A parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// The locks of these writes, in the order in which every replica takes them: 64 bits of a hash of each key. Two customers
/// may have the same; then one waits without need.
pub(super) fn locks(group: &[Write]) -> Vec<i64> {
    let lock = |write: &Write| {
        let (account, customer_id) = write.key();
        let hash = digest(&SHA256, [account, "\0", customer_id].concat().as_bytes());
        let bytes = hash.as_ref().first_chunk().copied().unwrap_or_default();
        i64::from_be_bytes(bytes)
    };
    let mut locks: Vec<i64> = group.iter().map(lock).collect();
    locks.sort_unstable();
    locks.dedup();
    locks
}

/// The signatures of these writes, one array for each column; NULL for a write without one.
pub(super) fn signatures(group: &[Write]) -> (Vec<Option<i64>>, Vec<Option<Vec<u8>>>) {
    let columns = |write: &Write| match write.change.signature() {
        Some(SignatureId { expires_at, hash }) => (Some(expires_at), Some(hash.to_vec())),
        None => (None, None),
    };
    group.iter().map(columns).unzip()
}

/// The parameters of a statement that takes an array for each column.
pub(super) type Columns<'a> = Vec<Box<dyn ToSql + Sync + 'a>>;

fn column<'a, R, T: ToSql + Sync + 'a>(rows: &'a [R], value: fn(&'a R) -> T) -> Box<dyn ToSql + Sync + 'a> {
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

/// The parameters of [`DELETE`].
pub(super) fn keys<'a>(keys: &'a [Key<'a>]) -> Columns<'a> {
    vec![column(keys, |key| key.0), column(keys, |key| key.1)]
}

/// The parameters of [`INSERT`].
pub(super) fn rows<'a>(rows: &'a [NewRow<'a>]) -> Columns<'a> {
    vec![
        column(rows, |row| row.key.0),
        column(rows, |row| row.key.1),
        column(rows, |row| row.version.as_bytes()),
        column(rows, |row| row.updated),
        column(rows, |row| row.signature_expires_at),
        column(rows, |row| row.record.sealed_by.as_deref()),
        column(rows, |row| row.record.bytes.as_slice()),
        column(rows, |row| row.created),
        column(rows, |row| row.imported),
    ]
}

/// The parameters of [`UPDATE`], which leaves the last two columns as they were.
pub(super) fn changes<'a>(changed: &'a [NewRow<'a>]) -> Columns<'a> {
    let mut columns = rows(changed);
    columns.truncate(columns.len() - 2);
    columns
}

/// The parameters of [`INSERT_USED`].
pub(super) fn used(used: &[(SignatureId, Outcome)]) -> Columns<'_> {
    vec![
        column(used, |(signature, _)| signature.expires_at),
        column(used, |(signature, _)| signature.hash.as_slice()),
        column(used, |(_, outcome)| outcome.to_bytes()),
    ]
}

/// The parameters of [`INSERT_EVENTS`].
pub(super) fn events<'a>(events: &'a [(Key<'a>, Event)]) -> Columns<'a> {
    vec![
        column(events, |(key, _)| key.0),
        column(events, |(key, _)| key.1),
        column(events, |(_, event)| event.id.as_bytes()),
        column(events, |(_, event)| event_type_number(event.event_type)),
        column(events, |(_, event)| event.occurred),
        column(events, |(_, event)| event.previous.as_ref().map(Version::as_bytes)),
        column(events, |(_, event)| event.key_id.as_deref()),
    ]
}
