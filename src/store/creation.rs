//! The order of creation, in SQL.

use diesel::{
    QueryResult,
    backend::Backend,
    query_builder::{AstPass, QueryFragment},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType, Text},
};

use super::page::PageQuery;
use crate::model::SortDirection;

/// What comes after the condition on the account: where the page begins, which customers belong to the walk (`C`, if it has
/// begun), and the order.
pub(super) struct InOrder<'a, C> {
    direction: SortDirection,
    after: Option<After<'a, C>>,
}

struct After<'a, C> {
    created_at: i64,
    customer_id: &'a str,
    belongs: &'a C,
}

impl<'a, C> InOrder<'a, C> {
    pub(super) fn new(query: &'a PageQuery, belongs: Option<&'a C>) -> Self {
        let after = query.after.as_ref().zip(belongs).map(|(position, belongs)| After {
            created_at: position.created.micros(),
            customer_id: position.customer_id.as_str(),
            belongs,
        });
        Self { direction: query.direction, after }
    }
}

impl<DB, C> QueryFragment<DB> for InOrder<'_, C>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    C: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let (later, order) = match self.direction {
            SortDirection::Asc => (">", "created_at, customer_id"),
            SortDirection::Desc => ("<", "created_at DESC, customer_id DESC"),
        };
        if let Some(After { created_at, customer_id, belongs }) = &self.after {
            out.push_sql(" AND (created_at, customer_id) ");
            out.push_sql(later);
            out.push_sql(" (");
            out.push_bind_param::<BigInt, _>(created_at)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(*customer_id)?;
            out.push_sql(") AND ");
            belongs.walk_ast(out.reborrow())?;
        }
        out.push_sql(" ORDER BY ");
        out.push_sql(order);
        Ok(())
    }
}
