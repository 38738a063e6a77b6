//! The statements that write, and their parameters.

use tokio_postgres::types::ToSql;

use super::super::{
    types::{Condition, Record},
    used::expired_before,
    version::Version,
    write::{Change, Write},
};

/// What a session begins with whose statements find their rows by an index. Without this, a statement that is planned while
/// a table is nearly empty would go on to read all of it when it is large. It is planned once, because with these settings
/// there is one plan, however many rows it is asked for.
pub(super) const BY_INDEX: &str = "\
    SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan";

/// What the caller was told whose write made a row: an update keeps the timestamp of creation, an insert has two equal
/// timestamps.
macro_rules! outcome {
    () => {
        "CASE WHEN created_at = updated_at THEN 'C'::bytea ELSE 'U'::bytea END || version"
    };
}

pub(super) use outcome;

/// Whether a row has one of these versions, which are hexadecimal digits and separated by commas. NULL means any.
macro_rules! has_one_of {
    ($versions:literal) => {
        concat!(
            "(",
            $versions,
            " IS NULL OR encode(version, 'hex') = ANY (string_to_array(",
            $versions,
            ", ',')))"
        )
    };
}

/// Inserts the rows of [`PUT`] with this decision.
macro_rules! insert {
    ($decision:literal) => {
        concat!(
            "INSERT INTO customers \
                 (account, customer_id, version, created_at, updated_at, signature_expires_at, sealed_by, record) \
             SELECT account, customer_id, version, stamp, stamp, expires_at, sealed_by, record \
             FROM decided WHERE decision = '",
            $decision,
            "'"
        )
    };
}

/// Puts customers, one array for each column. Returns the version of each, its outcome, and whether the outcome is an
/// earlier one.
///
/// A row shows the signature that made it, because its version is the signature's hash: a new customer costs one row, and no
/// entry among the used signatures. When the row is replaced, its signature moves there.
///
/// A row that is there is locked when it is read, so that no other replica replaces it in the meantime. The insert of a row
/// that another replica inserts at the same time fails, and is tried again. The condition at the end has `created` carried out
/// first, while the rows are read: so rows are locked and inserted one after the other, in the order in which they are given,
/// and replicas that give them in the same order do not wait for each other.
pub(super) const PUT: &str = concat!(
    "WITH asked AS MATERIALIZED ( \
         SELECT input.*, last.version AS last_version, last.expires_at AS last_expires_at, \
             last.outcome AS last_outcome, coalesce(last.matches, may_create) AS may_put, ( \
                 SELECT outcome FROM used_signatures used \
                 WHERE used.expires_at = input.expires_at AND used.hash = input.version \
             ) AS known \
         FROM unnest( \
             $1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::text[], $7::bytea[], $8::bool[], \
             $9::text[] \
         ) AS input (expires_at, account, customer_id, version, stamp, sealed_by, record, may_create, if_match) \
         LEFT JOIN LATERAL ( \
             SELECT version, signature_expires_at AS expires_at, ",
    outcome!(),
    " AS outcome, ",
    has_one_of!("if_match"),
    " AS matches \
             FROM customers \
             WHERE account = input.account AND customer_id = input.customer_id FOR UPDATE \
         ) AS last ON true \
     ), decided AS MATERIALIZED ( \
         SELECT *, CASE \
             WHEN known IS NOT NULL OR last_version = version THEN 'repeat' \
             WHEN NOT may_put THEN 'refuse' \
             WHEN last_version IS NULL THEN 'create' \
             ELSE 'replace' \
         END AS decision \
         FROM asked \
     ), created AS (",
    insert!("create"),
    " RETURNING 1 \
     ), replaced AS (",
    insert!("replace"),
    " ON CONFLICT (account, customer_id) DO UPDATE SET version = excluded.version, \
             updated_at = greatest(excluded.updated_at, customers.updated_at + 1), \
             signature_expires_at = excluded.signature_expires_at, \
             sealed_by = excluded.sealed_by, record = excluded.record \
     ), used AS ( \
         INSERT INTO used_signatures (expires_at, hash, outcome) \
         SELECT last_expires_at, last_version, last_outcome \
         FROM decided WHERE decision = 'replace' AND last_expires_at >= $10 \
         UNION ALL \
         SELECT expires_at, version, 'F'::bytea \
         FROM decided WHERE decision = 'refuse' AND expires_at IS NOT NULL \
     ) \
     SELECT version, CASE decision \
         WHEN 'repeat' THEN coalesce(known, last_outcome) \
         WHEN 'create' THEN 'C'::bytea || version \
         WHEN 'replace' THEN 'U'::bytea || version \
         ELSE 'F'::bytea \
     END, decision = 'repeat' \
     FROM decided WHERE (SELECT count(*) FROM created) >= 0"
);

/// Deletes a customer. Returns the outcome, and whether it is an earlier one.
///
/// It is one statement, and the row is locked first: with two statements, another replica's write between them would
/// make an answer that was never true.
pub(super) const DELETE: &str = concat!(
    "WITH known AS MATERIALIZED ( \
         SELECT outcome FROM used_signatures WHERE expires_at = $1 AND hash = $2 \
     ), last AS MATERIALIZED ( \
         SELECT version, signature_expires_at, ",
    outcome!(),
    " AS outcome, ",
    has_one_of!("$5::text"),
    " AS matches \
         FROM customers \
         WHERE account = $3 AND customer_id = $4 AND NOT EXISTS (SELECT FROM known) FOR UPDATE \
     ), told AS MATERIALIZED ( \
         SELECT coalesce((SELECT CASE WHEN matches THEN 'D'::bytea ELSE 'F'::bytea END FROM last), 'N'::bytea) AS outcome \
         WHERE NOT EXISTS (SELECT FROM known) \
     ), deleted AS ( \
         DELETE FROM customers \
         WHERE account = $3 AND customer_id = $4 AND (SELECT outcome FROM told) = 'D'::bytea \
     ), used AS ( \
         INSERT INTO used_signatures (expires_at, hash, outcome) \
         SELECT signature_expires_at, version, outcome FROM last WHERE matches AND signature_expires_at >= $6 \
         UNION ALL \
         SELECT $1, $2, outcome FROM told WHERE $2 IS NOT NULL \
     ) \
     SELECT outcome, true FROM known UNION ALL SELECT outcome, false FROM told"
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

/// A parameter of a statement.
type Parameter<'a> = &'a (dyn ToSql + Sync);

/// The parameters of [`PUT`]: an array for each column, and when a signature must have expired to be forgotten.
#[derive(Default)]
pub(super) struct Puts<'a> {
    expires_at: Vec<Option<i64>>,
    accounts: Vec<&'a str>,
    customer_ids: Vec<&'a str>,
    versions: Vec<&'a [u8]>,
    timestamps: Vec<i64>,
    sealed_by: Vec<Option<&'a str>>,
    records: Vec<&'a [u8]>,
    may_create: Vec<bool>,
    if_match: Vec<Option<String>>,
    expired_before: i64,
}

impl<'a> Puts<'a> {
    /// Of the puts among these writes.
    pub(super) fn new(writes: &'a [Write]) -> Self {
        let mut all = Self { expired_before: expired_before(), ..Self::default() };
        for Write { account, customer_id, signature, timestamp, change, .. } in writes {
            let Change::Put { record: Record { bytes, sealed_by }, version, condition, .. } = change else {
                continue;
            };
            all.expires_at.push(signature.map(|signature| signature.expires_at));
            all.accounts.push(account);
            all.customer_ids.push(customer_id);
            all.versions.push(version.as_bytes());
            all.timestamps.push(*timestamp);
            all.sealed_by.push(sealed_by.as_deref());
            all.records.push(bytes);
            all.may_create.push(matches!(condition, Condition::Always | Condition::Absent));
            all.if_match.push(replaceable(condition));
        }
        all
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 10] {
        [
            &self.expires_at,
            &self.accounts,
            &self.customer_ids,
            &self.versions,
            &self.timestamps,
            &self.sealed_by,
            &self.records,
            &self.may_create,
            &self.if_match,
            &self.expired_before,
        ]
    }
}

/// The parameters of [`DELETE`].
pub(super) struct Delete<'a> {
    expires_at: Option<i64>,
    hash: Option<&'a [u8]>,
    account: &'a str,
    customer_id: &'a str,
    if_match: Option<String>,
    expired_before: i64,
}

impl<'a> Delete<'a> {
    pub(super) fn new(write: &'a Write, if_match: Option<&[Version]>) -> Self {
        let Write { account, customer_id, signature, .. } = write;
        Self {
            expires_at: signature.map(|signature| signature.expires_at),
            hash: signature.as_ref().map(|signature| signature.hash.as_slice()),
            account,
            customer_id,
            if_match: if_match.map(list),
            expired_before: expired_before(),
        }
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 6] {
        [&self.expires_at, &self.hash, &self.account, &self.customer_id, &self.if_match, &self.expired_before]
    }
}

/// Which versions of a customer may be replaced; `None` if any may.
fn replaceable(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Always | Condition::Present => None,
        Condition::OneOf(versions) => Some(list(versions)),
        Condition::Absent | Condition::Never => Some(String::new()),
    }
}

fn list(versions: &[Version]) -> String {
    versions.iter().map(Version::to_string).collect::<Vec<_>>().join(",")
}
