//! The statements of the hot path as fixed texts, which are prepared once for each connection.

use diesel::{
    QueryResult,
    dsl::{AsSelect, SqlTypeOf},
    prelude::RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text},
    sqlite::{Sqlite, SqliteConnection},
};

use super::super::{
    row::{CUSTOMER_ROW, CustomerRow, NewRow},
    types::Record,
};
use crate::signature_id::SignatureId;

/// Reads the largest `seq` that a customer has or had. None is given twice, so that it tells which customers a walk began
/// with.
pub(super) struct SelectNewestSeq;

/// Notes that no new customer may get an earlier timestamp, or a smaller `seq`.
pub(super) struct RaiseHighWater {
    pub timestamp: i64,
    pub seq: i64,
}

/// Puts a customer that does not exist yet.
pub(super) struct Insert<'a>(pub &'a NewRow<'a>);

/// Replaces a customer by one from another database. If it was created at another time, it is another customer with the
/// same id, and walks that were begun before leave it out.
pub(super) struct Replace<'a>(pub &'a NewRow<'a>);

/// Puts a customer that exists.
pub(super) struct Update<'a>(pub &'a NewRow<'a>);

/// Looks up what was written last for a customer; gives its version, whether it created the customer, and when its signature expires.
pub(super) struct SelectLastWrite<'a> {
    pub account: &'a str,
    pub customer_id: &'a str,
}

/// Looks a customer up; gives a [`CustomerRow`].
///
/// Without a `LIMIT`, although the key names at most one row: SQLite plans for the value of a bound limit, and so would
/// prepare the statement anew for each.
pub(super) struct Select<'a> {
    pub account: &'a str,
    pub customer_id: &'a str,
}

/// Reads a page of the file.
pub(super) struct ReadPage(pub i32);

/// Writes a page of the file.
pub(super) struct WritePage<'a> {
    pub number: i32,
    pub page: &'a [u8],
}

impl QueryFragment<Sqlite> for ReadPage {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT data FROM sqlite_dbpage WHERE pgno = ");
        out.push_bind_param::<Integer, _>(&self.0)
    }
}

impl Query for ReadPage {
    type SqlType = Binary;
}

impl QueryFragment<Sqlite> for WritePage<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE sqlite_dbpage SET data = ");
        out.push_bind_param::<Binary, _>(self.page)?;
        out.push_sql(" WHERE pgno = ");
        out.push_bind_param::<Integer, _>(&self.number)
    }
}

/// Looks up what a signature has done; gives the outcome.
pub(super) struct SelectUsed<'a>(pub &'a SignatureId);

/// Notes what a signature has done.
pub(super) struct InsertUsed<'a> {
    pub expires_at: i64,
    pub hash: &'a [u8],
    pub outcome: &'a [u8],
}

/// Deletes used signatures that expired before this time, the oldest first: at most [`PRUNE_ROWS_MAX`].
pub(super) struct Prune(pub i64);

/// How many rows one [`Prune`] deletes.
pub(super) const PRUNE_ROWS_MAX: usize = 256;

impl QueryFragment<Sqlite> for SelectUsed<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let SignatureId { expires_at, hash } = self.0;
        out.push_sql("SELECT outcome FROM used_signatures WHERE expires_at = ");
        out.push_bind_param::<BigInt, _>(expires_at)?;
        out.push_sql(" AND hash = ");
        out.push_bind_param::<Binary, _>(hash)
    }
}

impl Query for SelectUsed<'_> {
    type SqlType = Binary;
}

impl QueryFragment<Sqlite> for InsertUsed<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let Self { expires_at, hash, outcome } = self;
        out.push_sql("INSERT INTO used_signatures (expires_at, hash, outcome) VALUES (");
        out.push_bind_param::<BigInt, _>(expires_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(*hash)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(*outcome)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Prune {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // A range of the key: `IN` would look at all that expired in the same second.
        out.push_sql(
            "DELETE FROM used_signatures WHERE (expires_at, hash) <= (SELECT expires_at, hash FROM \
             (SELECT expires_at, hash FROM used_signatures WHERE expires_at < ",
        );
        out.push_bind_param::<BigInt, _>(&self.0)?;
        out.push_sql(" ORDER BY expires_at, hash LIMIT ");
        // Not bound: SQLite plans for the value of a bound limit.
        out.push_sql(&PRUNE_ROWS_MAX.to_string());
        out.push_sql(") ORDER BY expires_at DESC, hash DESC LIMIT 1)");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for SelectNewestSeq {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT max(high_water.seq, coalesce((SELECT max(seq) FROM customers), 0)) FROM high_water",
        );
        Ok(())
    }
}

impl Query for SelectNewestSeq {
    type SqlType = BigInt;
}

impl QueryFragment<Sqlite> for RaiseHighWater {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let Self { timestamp, seq } = self;
        out.push_sql("UPDATE high_water SET timestamp = max(timestamp, ");
        out.push_bind_param::<BigInt, _>(timestamp)?;
        out.push_sql("), seq = max(seq, ");
        out.push_bind_param::<BigInt, _>(seq)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let NewRow {
            seq,
            account,
            customer_id,
            record,
            version,
            created_at,
            updated_at,
            signature_expires_at,
        } = self.0;
        let Record { bytes, sealed_by } = record;
        out.push_sql(
            "INSERT INTO customers \
             (seq, account, customer_id, version, created_at, updated_at, signature_expires_at, sealed_by, record) \
             VALUES (",
        );
        out.push_bind_param::<BigInt, _>(seq)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(*account)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(*customer_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(version.as_bytes())?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(updated_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, _>(signature_expires_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(sealed_by)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(bytes)?;
        out.push_sql(") ON CONFLICT DO NOTHING");
        Ok(())
    }
}

/// ` WHERE`, and the key of a customer.
fn push_key<'b>(
    out: &mut AstPass<'_, 'b, Sqlite>,
    account: &'b str,
    customer_id: &'b str,
) -> QueryResult<()> {
    out.push_sql(" WHERE account = ");
    out.push_bind_param::<Text, _>(account)?;
    out.push_sql(" AND customer_id = ");
    out.push_bind_param::<Text, _>(customer_id)
}

/// The beginning of an `UPDATE`: what every write of a customer that exists sets.
fn push_update<'b>(out: &mut AstPass<'_, 'b, Sqlite>, row: &'b NewRow<'_>) -> QueryResult<()> {
    let Record { bytes, sealed_by } = row.record;
    out.push_sql("UPDATE customers SET version = ");
    out.push_bind_param::<Binary, _>(row.version.as_bytes())?;
    out.push_sql(", signature_expires_at = ");
    out.push_bind_param::<Nullable<BigInt>, _>(&row.signature_expires_at)?;
    out.push_sql(", sealed_by = ");
    out.push_bind_param::<Nullable<Text>, _>(sealed_by)?;
    out.push_sql(", record = ");
    out.push_bind_param::<Binary, _>(bytes)
}

impl QueryFragment<Sqlite> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let row = self.0;
        push_update(&mut out, row)?;
        out.push_sql(", updated_at = max(");
        out.push_bind_param::<BigInt, _>(&row.updated_at)?;
        out.push_sql(", updated_at + 1)");
        push_key(&mut out, row.account, row.customer_id)
    }
}

impl QueryFragment<Sqlite> for SelectLastWrite<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT version, created_at = updated_at, signature_expires_at FROM customers");
        push_key(&mut out, self.account, self.customer_id)
    }
}

impl Query for SelectLastWrite<'_> {
    type SqlType = (Binary, Bool, Nullable<BigInt>);
}

impl QueryFragment<Sqlite> for Replace<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let row = self.0;
        push_update(&mut out, row)?;
        out.push_sql(", updated_at = ");
        out.push_bind_param::<BigInt, _>(&row.updated_at)?;
        out.push_sql(", created_at = ");
        out.push_bind_param::<BigInt, _>(&row.created_at)?;
        out.push_sql(", seq = CASE created_at WHEN ");
        out.push_bind_param::<BigInt, _>(&row.created_at)?;
        out.push_sql(" THEN seq ELSE ");
        out.push_bind_param::<BigInt, _>(&row.seq)?;
        out.push_sql(" END");
        push_key(&mut out, row.account, row.customer_id)
    }
}

impl QueryFragment<Sqlite> for Select<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(CUSTOMER_ROW);
        out.push_sql(" FROM customers");
        push_key(&mut out, self.account, self.customer_id)
    }
}

impl Query for Select<'_> {
    type SqlType = SqlTypeOf<AsSelect<CustomerRow, Sqlite>>;
}

/// Statements whose text is always the same, so that the type stands for it.
macro_rules! fixed_texts {
    ($($statement:ty as $id:ty),* $(,)?) => {$(
        impl QueryId for $statement {
            type QueryId = $id;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl RunQueryDsl<SqliteConnection> for $statement {}
    )*};
}

fixed_texts! {
    Insert<'_> as Insert<'static>,
    InsertUsed<'_> as InsertUsed<'static>,
    Prune as Self,
    RaiseHighWater as Self,
    ReadPage as Self,
    Replace<'_> as Replace<'static>,
    Select<'_> as Select<'static>,
    SelectLastWrite<'_> as SelectLastWrite<'static>,
    SelectNewestSeq as Self,
    SelectUsed<'_> as SelectUsed<'static>,
    Update<'_> as Update<'static>,
    WritePage<'_> as WritePage<'static>,
}
