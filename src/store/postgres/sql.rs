//! The statements that write, and their parameters.
//!
//! They are plain enough for distributed engines that speak the protocol. Keys are ordered byte by byte there too,
//! whatever the database's collation, because every comparison says so: CockroachDB refuses a column that says so.

use tokio_postgres::types::ToSql;

use super::super::{row::NewRow, types::Record};

/// Puts customers, one array for each column. Returns the keys, and whether each customer is new: an update keeps the
/// timestamp of creation, an insert has two equal timestamps.
pub(super) const PUT: &str = "\
    INSERT INTO customers (account, customer_id, version, created_at, updated_at, sealed_by, record) \
    SELECT account, customer_id, version, stamp, stamp, sealed_by, record \
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::text[], $6::bytea[]) \
        AS new (account, customer_id, version, stamp, sealed_by, record) \
    ORDER BY account COLLATE \"C\", customer_id COLLATE \"C\" \
    ON CONFLICT (account, customer_id) DO UPDATE SET version = excluded.version, \
        updated_at = greatest(excluded.updated_at, customers.updated_at + 1), \
        sealed_by = excluded.sealed_by, record = excluded.record \
    RETURNING account, customer_id, created_at = updated_at";

/// Puts a customer that does not exist yet.
pub(super) const INSERT: &str = "\
    INSERT INTO customers (account, customer_id, version, created_at, updated_at, sealed_by, record) \
    VALUES ($1, $2, $3, $4, $4, $5, $6) \
    ON CONFLICT (account, customer_id) DO NOTHING";

/// Puts a customer that exists, in one of these versions if any are given.
pub(super) const UPDATE: &str = "\
    UPDATE customers SET version = $3, updated_at = greatest($4, updated_at + 1), sealed_by = $5, record = $6 \
    WHERE account = $1 AND customer_id = $2 AND ($7::bytea[] IS NULL OR version = ANY ($7::bytea[]))";

/// Deletes a customer in any version.
pub(super) const DELETE: &str = "DELETE FROM customers WHERE account = $1 AND customer_id = $2";

/// Deletes a customer in one of these versions. Returns whether there was a customer, and whether it was deleted.
///
/// It is one statement, and the row is locked first: with two statements, another replica's write between them would
/// make an answer that was never true.
pub(super) const DELETE_VERSION: &str = "\
    WITH found AS MATERIALIZED ( \
        SELECT version FROM customers WHERE account = $1 AND customer_id = $2 FOR UPDATE \
    ), deleted AS ( \
        DELETE FROM customers USING found \
        WHERE account = $1 AND customer_id = $2 AND found.version = ANY ($3::bytea[]) RETURNING 1 \
    ) \
    SELECT EXISTS (SELECT FROM found), EXISTS (SELECT FROM deleted)";

/// The parameters of a statement.
pub(super) type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// The parameters of one put.
pub(super) fn parameters<'a>(row: &'a NewRow<'_>, version: &'a &[u8]) -> Parameters<'a> {
    let NewRow { account, customer_id, version: _, timestamp, record: Record { bytes, sealed_by } } = row;
    vec![account, customer_id, version, timestamp, sealed_by, bytes]
}

/// The parameters of many puts: an array for each column.
#[derive(Default)]
pub(super) struct Columns<'a> {
    accounts: Vec<&'a str>,
    customer_ids: Vec<&'a str>,
    versions: Vec<&'a [u8]>,
    timestamps: Vec<i64>,
    sealed_by: Vec<Option<&'a str>>,
    records: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(rows: impl Iterator<Item = NewRow<'a>>) -> Self {
        let mut columns = Self::default();
        for NewRow { account, customer_id, version, timestamp, record: Record { bytes, sealed_by } } in rows {
            columns.accounts.push(account);
            columns.customer_ids.push(customer_id);
            columns.versions.push(version.as_bytes());
            columns.timestamps.push(timestamp);
            columns.sealed_by.push(sealed_by.as_deref());
            columns.records.push(bytes);
        }
        columns
    }

    pub(super) fn parameters(&self) -> Parameters<'_> {
        let Self { accounts, customer_ids, versions, timestamps, sealed_by, records } = self;
        vec![accounts, customer_ids, versions, timestamps, sealed_by, records]
    }
}
