//! Pages of lists.

use std::pin::pin;

use diesel::{
    QueryResult,
    dsl::{AsSelect, SqlTypeOf},
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use futures_util::TryStreamExt as _;

use super::{
    super::{
        creation::InOrder,
        error::StoreError,
        page::{Listed, Page, PageQuery},
        row::{CustomerRow, customer_row},
        types::{Position, StoredCustomer},
    },
    walk::{self, Begun},
};

/// The walk that a page belongs to, if it has begun.
pub(super) fn begun(query: &PageQuery) -> Result<Option<Begun>, StoreError> {
    query.after.as_ref().map(|position| Begun::read(&position.snapshot)).transpose()
}

pub(super) async fn read(
    query: &PageQuery,
    begun: Option<&Begun>,
    connection: &mut AsyncPgConnection,
) -> QueryResult<Listed> {
    let select = SelectPage {
        account: &query.account,
        in_order: InOrder::new(query, begun),
        limit: i64::from(query.limit) + 1,
    };
    let (mut page, mut snapshot) = (Page::new(query.limit as usize), String::new());
    let mut rows = pin!(select.load_stream::<(CustomerRow, String)>(connection).await?);
    while let Some((row, seen)) = rows.try_next().await? {
        let record_bytes = row.record.len();
        snapshot = seen;
        if !page.add(StoredCustomer::try_from(row), record_bytes) {
            break;
        }
    }
    let begin = || walk::begin(&snapshot);
    Ok((query.after.as_ref().map_or_else(begin, |Position { snapshot, .. }| snapshot.clone()), page))
}

/// Reads customers in the order of their creation; gives [`CustomerRow`]s, each with the snapshot of the query.
///
/// The text is fixed, so that the server parses it once for each connection. The account is written as the index
/// `customers_by_creation` has it.
struct SelectPage<'a> {
    account: &'a str,
    in_order: InOrder<'a, Begun>,
    limit: i64,
}

impl QueryFragment<Pg> for SelectPage<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(concat!(
            "SELECT ",
            customer_row!(),
            ", (SELECT CAST(pg_current_snapshot() AS TEXT)) FROM customers WHERE account || '' = "
        ));
        out.push_bind_param::<Text, _>(self.account)?;
        self.in_order.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl Query for SelectPage<'_> {
    type SqlType = (SqlTypeOf<AsSelect<CustomerRow, Pg>>, Text);
}

/// Its text depends on what is asked for.
impl QueryId for SelectPage<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
