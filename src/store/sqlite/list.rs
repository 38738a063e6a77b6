//! Pages of a list.

use diesel::{
    QueryResult, RunQueryDsl,
    connection::DefaultLoadingMode,
    dsl::{AsSelect, SqlTypeOf},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Text},
    sqlite::{Sqlite, SqliteConnection},
};

use super::{
    super::{
        creation::InOrder,
        error::StoreError,
        page::{Listed, Page, PageQuery},
        row::{CustomerRow, customer_row},
        types::{Position, Snapshot, StoredCustomer},
    },
    sql::SelectNewestSeq,
};

/// What a walk keeps, if it has begun: the largest `seq` then. What is created later has a larger one, whatever its
/// timestamp.
pub(super) fn begun(query: &PageQuery) -> Result<Option<i64>, StoreError> {
    let begun = query.after.as_ref().map(|Position { snapshot: Snapshot(newest), .. }| newest.parse());
    begun.transpose().map_err(StoreError::failed)
}

pub(super) fn read(
    query: &PageQuery,
    connection: &mut SqliteConnection,
    begun: Option<i64>,
) -> QueryResult<Listed> {
    let newest = begun.map_or_else(|| SelectNewestSeq {}.get_result(connection), Ok)?;
    let belongs = begun.map(NotNewer);
    let select = SelectPage { account: &query.account, in_order: InOrder::new(query, belongs.as_ref()) };
    let mut page = Page::new(query.limit as usize);
    for row in select.load_iter::<CustomerRow, DefaultLoadingMode>(connection)? {
        let row = row?;
        let record_bytes = row.record.len();
        if !page.add(StoredCustomer::try_from(row), record_bytes) {
            break;
        }
    }
    Ok((Snapshot(newest.to_string()), page))
}

/// Reads customers in the order of their creation; gives [`CustomerRow`]s.
///
/// Without a `LIMIT`: SQLite would plan for its value, and so prepare the statement anew for each page. The rows come in
/// the order of the index `customers_by_creation`, one by one, until nobody asks for more.
struct SelectPage<'a> {
    account: &'a str,
    in_order: InOrder<'a, NotNewer>,
}

/// The customers up to this `seq`.
struct NotNewer(i64);

impl QueryFragment<Sqlite> for NotNewer {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // The sign keeps SQLite from walking by `seq` instead.
        out.push_sql("+seq <= ");
        out.push_bind_param::<BigInt, _>(&self.0)
    }
}

impl QueryFragment<Sqlite> for SelectPage<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(concat!("SELECT ", customer_row!(), " FROM customers WHERE account = "));
        out.push_bind_param::<Text, _>(self.account)?;
        self.in_order.walk_ast(out.reborrow())
    }
}

impl Query for SelectPage<'_> {
    type SqlType = SqlTypeOf<AsSelect<CustomerRow, Sqlite>>;
}

/// Its text depends on what is asked for.
impl QueryId for SelectPage<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<SqliteConnection> for SelectPage<'_> {}

#[cfg(test)]
mod tests {
    use diesel::{Connection as _, QueryableByName, debug_query, sql_query};

    use super::*;
    use crate::model::{SortDirection, Timestamp};

    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    #[test]
    fn a_page_is_read_in_the_order_of_the_index_from_its_place_on() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        super::super::connect::create_tables(&mut connection).unwrap();
        let after = || {
            let created = Timestamp::from_micros(1).unwrap();
            Some(Position { created, customer_id: "c".parse().unwrap(), snapshot: "9".to_owned().into() })
        };
        for (direction, after, place) in [
            (SortDirection::Asc, None, "account=?"),
            (SortDirection::Desc, None, "account=?"),
            (SortDirection::Asc, after(), "account=? AND (created_at,customer_id)>(?,?)"),
            (SortDirection::Desc, after(), "account=? AND (created_at,customer_id)<(?,?)"),
        ] {
            let query = PageQuery { account: "a".to_owned(), direction, after, limit: 1 };
            let select = SelectPage { account: "a", in_order: InOrder::new(&query, Some(&NotNewer(9))) };
            let text = debug_query::<Sqlite, _>(&select).to_string();
            let (text, _binds) = text.split_once(" -- binds").unwrap();
            let plan = sql_query(format!("EXPLAIN QUERY PLAN {text}"));
            let steps: Vec<Step> = plan.load(&mut connection).unwrap();
            let steps: Vec<_> = steps.iter().map(|step| step.detail.as_str()).collect();
            assert_eq!(steps, [format!("SEARCH customers USING INDEX customers_by_creation ({place})")]);
        }
    }
}
