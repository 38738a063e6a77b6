//! The statements of one customer, as fixed texts.
//!
//! diesel builds the text of its own `INSERT` anew for each call, prepares its own `UPDATE` anew, and walks through all
//! columns of its own `SELECT` three times, which takes as long as SQLite takes to carry it out, or longer. These are
//! prepared once for each connection, and only bound.

use diesel::{
    QueryResult,
    dsl::{AsSelect, SqlTypeOf},
    prelude::RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, Binary, Date, HasSqlType, Nullable, Text},
    sqlite::{Sqlite, SqliteConnection},
};

use super::super::{
    Version,
    row::{CustomerRow, NewCustomer},
};

/// What [`fields`] binds, and [`CustomerRow`] has, in their order.
const FIELDS: &str = "first_name, last_name, middle_name, date_of_birth, identities, street, street2, city, \
    post_code, state, country, version";

/// Puts a customer that is not there yet.
pub(super) struct Insert<'a> {
    pub row: &'a NewCustomer,
    pub moment: i64,
}

/// Puts a customer that is there, in one of these versions if any are given.
pub(super) struct Update<'a> {
    pub row: &'a NewCustomer,
    pub moment: i64,
    pub versions: Option<&'a [Version]>,
}

/// Looks a customer up; gives a [`CustomerRow`].
///
/// Without a `LIMIT`, although the key names one row at most: SQLite plans for a bound one's value, and so would prepare
/// the statement anew for each.
pub(super) struct Select<'a> {
    pub account: &'a str,
    pub customer_id: &'a str,
}

impl QueryFragment<Sqlite> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO customers (");
        out.push_sql(FIELDS);
        out.push_sql(", created_at, updated_at, account, customer_id) VALUES (");
        fields(self.row, &mut out)?;
        value::<BigInt, _>(&mut out, &self.moment)?;
        value::<BigInt, _>(&mut out, &self.moment)?;
        value::<Text, _>(&mut out, &self.row.account)?;
        out.push_bind_param::<Text, _>(&self.row.customer_id)?;
        out.push_sql(") ON CONFLICT DO NOTHING");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE customers SET (");
        out.push_sql(FIELDS);
        out.push_sql(", updated_at) = (");
        fields(self.row, &mut out)?;
        out.push_sql("max(");
        out.push_bind_param::<BigInt, _>(&self.moment)?;
        out.push_sql(", updated_at + 1)) WHERE account = ");
        out.push_bind_param::<Text, _>(&self.row.account)?;
        out.push_sql(" AND customer_id = ");
        out.push_bind_param::<Text, _>(&self.row.customer_id)?;
        let Some(versions) = self.versions else { return Ok(()) };
        out.push_sql(" AND version IN (");
        for (index, version) in versions.iter().enumerate() {
            out.push_sql(if index == 0 { "" } else { ", " });
            out.push_bind_param::<Binary, _>(version.as_bytes())?;
        }
        out.push_sql(")");
        if versions.len() != 1 {
            // A text for each number of versions would fill the cache.
            out.unsafe_to_cache_prepared();
        }
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Select<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT customer_id, ");
        out.push_sql(FIELDS);
        out.push_sql(", created_at, updated_at FROM customers WHERE account = ");
        out.push_bind_param::<Text, _>(self.account)?;
        out.push_sql(" AND customer_id = ");
        out.push_bind_param::<Text, _>(self.customer_id)
    }
}

impl Query for Select<'_> {
    type SqlType = SqlTypeOf<AsSelect<CustomerRow, Sqlite>>;
}

/// Binds a row without its key and its moments; a comma follows each value.
fn fields<'b>(row: &'b NewCustomer, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
    let NewCustomer {
        account: _,
        customer_id: _,
        first_name,
        last_name,
        middle_name,
        date_of_birth,
        identities,
        street,
        street2,
        city,
        post_code,
        state,
        country,
        version,
    } = row;
    value::<Text, _>(out, first_name)?;
    value::<Text, _>(out, last_name)?;
    value::<Nullable<Text>, _>(out, middle_name)?;
    value::<Date, _>(out, date_of_birth)?;
    value::<Text, _>(out, identities)?;
    value::<Text, _>(out, street)?;
    value::<Nullable<Text>, _>(out, street2)?;
    value::<Text, _>(out, city)?;
    value::<Text, _>(out, post_code)?;
    value::<Text, _>(out, state)?;
    value::<Text, _>(out, country)?;
    value::<Binary, _>(out, version)
}

fn value<'b, T, V: ToSql<T, Sqlite>>(out: &mut AstPass<'_, 'b, Sqlite>, value: &'b V) -> QueryResult<()>
where
    Sqlite: HasSqlType<T>,
{
    out.push_bind_param::<T, V>(value)?;
    out.push_sql(", ");
    Ok(())
}

/// The text is always the same, so the type stands for it.
impl QueryId for Insert<'_> {
    type QueryId = Insert<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryId for Select<'_> {
    type QueryId = Select<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryId for Update<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<SqliteConnection> for Insert<'_> {}

impl RunQueryDsl<SqliteConnection> for Select<'_> {}

impl RunQueryDsl<SqliteConnection> for Update<'_> {}
