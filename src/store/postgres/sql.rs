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

/// What the session that numbers begins with. Its statement sorts, which would look so expensive under the settings above that
/// the server would compile it each time.
pub(super) const NUMBERING: &str = "\
    SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";

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

/// In this order, so that the events of a customer get larger numbers.
pub(super) const INSERT_EVENTS: &str = "\
    INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at, previous, key_id) \
    SELECT * FROM unnest( \
        $1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[] \
    )";

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

/// How many rows one [`PRUNE`] deletes.
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

/// The parameters of [`INSERT`] and [`UPDATE`].
pub(super) struct Rows<'a> {
    accounts: Vec<&'a str>,
    customer_ids: Vec<&'a str>,
    versions: Vec<&'a [u8]>,
    updated_at: Vec<i64>,
    signature_expires_at: Vec<Option<i64>>,
    sealed_by: Vec<Option<&'a str>>,
    records: Vec<&'a [u8]>,
    created_at: Vec<i64>,
    imported_at: Vec<Option<i64>>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(rows: &'a [NewRow<'a>]) -> Self {
        Self {
            accounts: rows.iter().map(|row| row.key.0).collect(),
            customer_ids: rows.iter().map(|row| row.key.1).collect(),
            versions: rows.iter().map(|row| row.version.as_bytes()).collect(),
            updated_at: rows.iter().map(|row| row.updated).collect(),
            signature_expires_at: rows.iter().map(|row| row.signature_expires_at).collect(),
            sealed_by: rows.iter().map(|row| row.record.sealed_by.as_deref()).collect(),
            records: rows.iter().map(|row| row.record.bytes.as_slice()).collect(),
            created_at: rows.iter().map(|row| row.created).collect(),
            imported_at: rows.iter().map(|row| row.imported).collect(),
        }
    }

    pub(super) fn of_insert(&self) -> [Parameter<'_>; 9] {
        let [account, id, version, updated, expires, sealed_by, record] = self.of_update();
        [account, id, version, updated, expires, sealed_by, record, &self.created_at, &self.imported_at]
    }

    /// Those that a change leaves as they were are not among them.
    pub(super) fn of_update(&self) -> [Parameter<'_>; 7] {
        [
            &self.accounts,
            &self.customer_ids,
            &self.versions,
            &self.updated_at,
            &self.signature_expires_at,
            &self.sealed_by,
            &self.records,
        ]
    }
}

/// The parameters of [`INSERT_USED`].
pub(super) fn used(noted: &[(SignatureId, Outcome)]) -> (Vec<i64>, Vec<&[u8]>, Vec<Vec<u8>>) {
    let (mut expires_at, mut hashes, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for (signature, outcome) in noted {
        expires_at.push(signature.expires_at);
        hashes.push(signature.hash.as_slice());
        outcomes.push(outcome.to_bytes());
    }
    (expires_at, hashes, outcomes)
}

/// The parameters of [`INSERT_EVENTS`].
#[derive(Default)]
pub(super) struct EventColumns<'a> {
    accounts: Vec<&'a str>,
    customer_ids: Vec<&'a str>,
    ids: Vec<&'a [u8]>,
    types: Vec<i64>,
    occurred_at: Vec<i64>,
    previous: Vec<Option<&'a [u8]>>,
    key_ids: Vec<Option<&'a str>>,
}

impl<'a> EventColumns<'a> {
    pub(super) fn new(events: &'a [(Key<'a>, Event)]) -> Self {
        let mut columns = Self::default();
        for ((account, customer_id), Event { id, event_type, occurred, previous, key_id }) in events {
            columns.accounts.push(account);
            columns.customer_ids.push(customer_id);
            columns.ids.push(id.as_bytes());
            columns.types.push(event_type_number(*event_type));
            columns.occurred_at.push(*occurred);
            columns.previous.push(previous.as_ref().map(Version::as_bytes));
            columns.key_ids.push(key_id.as_deref());
        }
        columns
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 7] {
        let Self { accounts, customer_ids, ids, types, occurred_at, previous, key_ids } = self;
        [accounts, customer_ids, ids, types, occurred_at, previous, key_ids]
    }
}
