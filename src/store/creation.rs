//! Pages of a list in the order of creation, in SQL.

use std::marker::PhantomData;

use diesel::{
    QueryResult, RunQueryDsl,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType, Text},
    sqlite::SqliteConnection,
};

use super::page::PageQuery;
use crate::model::SortDirection;

/// Reads customers of an account in the order of their creation, from the page's place on. `T` is what it gives.
pub(super) struct SelectPage<'a, C, T> {
    /// All up to the account.
    start: &'static str,
    query: &'a PageQuery,
    after: Option<After<'a, C>>,
    rows_max: Option<i64>,
    gives: PhantomData<T>,
}

/// Where the page begins, and which customers belong to the walk, if it has begun.
struct After<'a, C> {
    created_at: i64,
    customer_id: &'a str,
    begun: &'a C,
}

impl<'a, C, T> SelectPage<'a, C, T> {
    pub(super) fn new(
        start: &'static str,
        query: &'a PageQuery,
        begun: Option<&'a C>,
        rows_max: Option<i64>,
    ) -> Self {
        let after = query.after.as_ref().zip(begun).map(|(position, begun)| After {
            created_at: position.created.micros(),
            customer_id: position.customer_id.as_str(),
            begun,
        });
        Self { start, query, after, rows_max, gives: PhantomData }
    }
}

impl<DB, C, T> QueryFragment<DB> for SelectPage<'_, C, T>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    C: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let (later, order) = match self.query.direction {
            SortDirection::Asc => (">", "created_at, customer_id"),
            SortDirection::Desc => ("<", "created_at DESC, customer_id DESC"),
        };
        out.push_sql(self.start);
        out.push_bind_param::<Text, _>(self.query.account.as_str())?;
        if let Some(After { created_at, customer_id, begun }) = &self.after {
            out.push_sql(" AND (created_at, customer_id) ");
            out.push_sql(later);
            out.push_sql(" (");
            out.push_bind_param::<BigInt, _>(created_at)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(*customer_id)?;
            out.push_sql(") AND ");
            begun.walk_ast(out.reborrow())?;
        }
        out.push_sql(" ORDER BY ");
        out.push_sql(order);
        if let Some(rows_max) = &self.rows_max {
            out.push_sql(" LIMIT ");
            out.push_bind_param::<BigInt, _>(rows_max)?;
        }
        Ok(())
    }
}

impl<C, T> Query for SelectPage<'_, C, T> {
    type SqlType = T;
}

/// Its text depends on what is asked for.
impl<C, T> QueryId for SelectPage<'_, C, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, T> RunQueryDsl<SqliteConnection> for SelectPage<'_, C, T> {}
