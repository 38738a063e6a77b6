//! The statements that write, and their parameters.
//!
//! They are plain enough for distributed engines that speak the protocol. Keys are ordered byte by byte there too,
//! whatever the database's collation, because every comparison says so: CockroachDB refuses a column that says so.

use tokio_postgres::types::ToSql;

use super::super::{
    types::Record,
    write::{Change, Write},
};
use crate::signature_id::SignatureId;

/// What a session begins with whose statements find their rows by key. Without this, a statement that is planned while a
/// table is nearly empty would go on to read all of it when it is large.
pub(super) const BY_KEY: &str = "SET enable_seqscan = off";

/// Puts customers, one array for each column. Returns the version of each, its outcome, and
/// whether the outcome is an earlier one.
///
/// An update keeps the timestamp of creation, an insert has two equal timestamps. The look-up is a sub-select and not a
/// join, so that it is always made by key, and the join is a full one, so that it is never a nested loop: the server
/// plans once, and does not know how many rows there will be.
pub(super) const PUT: &str = "\
    WITH new AS MATERIALIZED ( \
        SELECT input.*, ( \
            SELECT outcome FROM used_signatures used \
            WHERE used.expires_at = input.expires_at AND used.hash = input.hash \
        ) AS known \
        FROM unnest( \
            $1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::text[], $8::bytea[] \
        ) AS input (expires_at, hash, account, customer_id, version, stamp, sealed_by, record) \
    ), put AS ( \
        INSERT INTO customers (account, customer_id, version, created_at, updated_at, sealed_by, record) \
        SELECT account, customer_id, version, stamp, stamp, sealed_by, record FROM new WHERE known IS NULL \
        ORDER BY account COLLATE \"C\", customer_id COLLATE \"C\" \
        ON CONFLICT (account, customer_id) DO UPDATE SET version = excluded.version, \
            updated_at = greatest(excluded.updated_at, customers.updated_at + 1), \
            sealed_by = excluded.sealed_by, record = excluded.record \
        RETURNING version, \
            CASE WHEN created_at = updated_at THEN 'C'::bytea ELSE 'U'::bytea END || version AS outcome \
    ), told AS MATERIALIZED ( \
        SELECT version, expires_at, hash, known, outcome FROM new FULL JOIN put USING (version) \
    ), used AS ( \
        INSERT INTO used_signatures (expires_at, hash, outcome) \
        SELECT expires_at, hash, outcome FROM told WHERE known IS NULL AND hash IS NOT NULL \
    ) \
    SELECT version, coalesce(known, outcome), known IS NOT NULL FROM told";

/// A statement that carries out one write, unless its signature (`$1`, `$2`) was used before, and returns its outcome,
/// and whether that is an earlier one. The change must not be made if there is a row in `known`. If another replica uses the same signature at the same
/// time, the last insert fails.
macro_rules! once {
    ($change:literal, $outcome:literal) => {
        concat!(
            "WITH known AS MATERIALIZED ( \
                 SELECT outcome FROM used_signatures WHERE expires_at = $1 AND hash = $2 \
             ), ",
            $change,
            ", told AS MATERIALIZED ( SELECT ",
            $outcome,
            " AS outcome WHERE NOT EXISTS (SELECT FROM known) ), used AS ( \
                 INSERT INTO used_signatures (expires_at, hash, outcome) \
                 SELECT $1, $2, outcome FROM told WHERE $2 IS NOT NULL \
             ) \
             SELECT outcome, true FROM known UNION ALL SELECT outcome, false FROM told"
        )
    };
}

/// Puts a customer that does not exist yet.
pub(super) const INSERT: &str = once!(
    "put AS ( \
         INSERT INTO customers (account, customer_id, version, created_at, updated_at, sealed_by, record) \
         SELECT $3, $4, $5, $6, $6, $7, $8 WHERE NOT EXISTS (SELECT FROM known) \
         ON CONFLICT (account, customer_id) DO NOTHING RETURNING version \
     )",
    "coalesce((SELECT 'C'::bytea || version FROM put), 'F'::bytea)"
);

/// Puts a customer that exists, in one of these versions if any are given.
pub(super) const UPDATE: &str = once!(
    "put AS ( \
         UPDATE customers SET version = $5, updated_at = greatest($6, updated_at + 1), sealed_by = $7, record = $8 \
         WHERE account = $3 AND customer_id = $4 AND ($9::bytea[] IS NULL OR version = ANY ($9::bytea[])) \
             AND NOT EXISTS (SELECT FROM known) \
         RETURNING version \
     )",
    "coalesce((SELECT 'U'::bytea || version FROM put), 'F'::bytea)"
);

/// Puts no customer, because the preconditions exclude each other.
pub(super) const REFUSE: &str = once!("put AS ( SELECT )", "'F'::bytea");

/// Deletes a customer in any version.
pub(super) const DELETE: &str = once!(
    "deleted AS ( \
         DELETE FROM customers \
         WHERE account = $3 AND customer_id = $4 AND NOT EXISTS (SELECT FROM known) RETURNING 1 \
     )",
    "CASE WHEN EXISTS (SELECT FROM deleted) THEN 'D'::bytea ELSE 'N'::bytea END"
);

/// Deletes a customer in one of these versions.
///
/// It is one statement, and the row is locked first: with two statements, another replica's write between them would
/// make an answer that was never true.
pub(super) const DELETE_VERSION: &str = once!(
    "found AS MATERIALIZED ( \
         SELECT version FROM customers \
         WHERE account = $3 AND customer_id = $4 AND NOT EXISTS (SELECT FROM known) FOR UPDATE \
     ), deleted AS ( \
         DELETE FROM customers USING found \
         WHERE account = $3 AND customer_id = $4 AND found.version = ANY ($5::bytea[]) RETURNING 1 \
     )",
    "CASE WHEN EXISTS (SELECT FROM deleted) THEN 'D'::bytea \
         WHEN EXISTS (SELECT FROM found) THEN 'F'::bytea ELSE 'N'::bytea END"
);

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

/// The parameters of a statement.
pub(super) type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// The first parameters of every statement for one write: what identifies its signature, and whose customer it is.
pub(super) struct Head<'a> {
    expires_at: Option<i64>,
    hash: Option<&'a [u8]>,
    account: &'a str,
    customer_id: &'a str,
}

impl<'a> Head<'a> {
    pub(super) fn new(write: &'a Write) -> Self {
        let Write { account, customer_id, signature, .. } = write;
        let (expires_at, hash) = columns(signature.as_ref());
        Self { expires_at, hash, account, customer_id }
    }

    pub(super) fn signature(&self) -> Parameters<'_> {
        vec![&self.expires_at, &self.hash]
    }

    pub(super) fn parameters(&self) -> Parameters<'_> {
        vec![&self.expires_at, &self.hash, &self.account, &self.customer_id]
    }
}

/// The columns of a signature; NULL for an unsigned write.
fn columns(signature: Option<&SignatureId>) -> (Option<i64>, Option<&[u8]>) {
    (signature.map(|signature| signature.expires_at), signature.map(|signature| signature.hash.as_slice()))
}

/// The parameters of many puts: an array for each column.
#[derive(Default)]
pub(super) struct Columns<'a> {
    expires_at: Vec<Option<i64>>,
    hashes: Vec<Option<&'a [u8]>>,
    accounts: Vec<&'a str>,
    customer_ids: Vec<&'a str>,
    versions: Vec<&'a [u8]>,
    timestamps: Vec<i64>,
    sealed_by: Vec<Option<&'a str>>,
    records: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// Of the puts among these writes.
    pub(super) fn new(writes: &'a [Write]) -> Self {
        let mut all = Self::default();
        for Write { account, customer_id, signature, timestamp, change, .. } in writes {
            let Change::Put { record: Record { bytes, sealed_by }, version, .. } = change else { continue };
            let (expires_at, hash) = columns(signature.as_ref());
            all.expires_at.push(expires_at);
            all.hashes.push(hash);
            all.accounts.push(account);
            all.customer_ids.push(customer_id);
            all.versions.push(version.as_bytes());
            all.timestamps.push(*timestamp);
            all.sealed_by.push(sealed_by.as_deref());
            all.records.push(bytes);
        }
        all
    }

    pub(super) fn parameters(&self) -> Parameters<'_> {
        let Self { expires_at, hashes, accounts, customer_ids, versions, timestamps, sealed_by, records } =
            self;
        vec![expires_at, hashes, accounts, customer_ids, versions, timestamps, sealed_by, records]
    }
}
