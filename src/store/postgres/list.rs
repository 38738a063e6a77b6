//! Pages of lists.

use std::pin::pin;

use diesel::{
    QueryResult,
    dsl::{AsSelect, SqlTypeOf},
    pg::Pg,
    sql_types::Text,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use futures_util::TryStreamExt as _;

use super::{
    super::{
        creation::SelectPage,
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
    let rows_max = i64::from(query.limit) + 1;
    let select = SelectPage::<_, WithSnapshot>::new(START, query, begun, Some(rows_max));
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

/// Rows of [`CustomerRow`], each with the snapshot of the query.
type WithSnapshot = (SqlTypeOf<AsSelect<CustomerRow, Pg>>, Text);

/// The account is written as the index `customers_by_creation` has it.
const START: &str = concat!(
    "SELECT ",
    customer_row!(),
    ", (SELECT CAST(pg_current_snapshot() AS TEXT)) FROM customers WHERE account || '' = "
);
