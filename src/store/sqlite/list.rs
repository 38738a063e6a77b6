//! Pages of a list.

use diesel::{
    QueryResult, RunQueryDsl,
    connection::DefaultLoadingMode,
    dsl::{AsSelect, SqlTypeOf},
    query_builder::{AstPass, QueryFragment},
    sql_types::BigInt,
    sqlite::{Sqlite, SqliteConnection},
};

use super::{
    super::{
        creation::SelectPage,
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
    let mut page = Page::new(query.limit as usize);
    for row in select(query, belongs.as_ref()).load_iter::<CustomerRow, DefaultLoadingMode>(connection)? {
        let row = row?;
        let record_bytes = row.record.len();
        if !page.add(StoredCustomer::try_from(row), record_bytes) {
            break;
        }
    }
    Ok((Snapshot(newest.to_string()), page))
}

/// Without a `LIMIT`: SQLite would plan for its value, and so prepare the statement anew for each page. The rows come in the
/// order of the index `customers_by_creation`, one by one, until nobody asks for more.
fn select<'a>(
    query: &'a PageQuery,
    begun: Option<&'a NotNewer>,
) -> SelectPage<'a, NotNewer, SqlTypeOf<AsSelect<CustomerRow, Sqlite>>> {
    SelectPage::new(
        concat!("SELECT ", customer_row!(), " FROM customers WHERE account = "),
        query,
        begun,
        None,
    )
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

#[cfg(test)]
mod tests {
    use diesel::{Connection as _, QueryableByName, debug_query, sql_query, sql_types::Text};

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
            Some(Position { created, customer_id: "c".parse().unwrap(), snapshot: Snapshot("9".to_owned()) })
        };
        for (direction, after, place) in [
            (SortDirection::Asc, None, "account=?"),
            (SortDirection::Desc, None, "account=?"),
            (SortDirection::Asc, after(), "account=? AND (created_at,customer_id)>(?,?)"),
            (SortDirection::Desc, after(), "account=? AND (created_at,customer_id)<(?,?)"),
        ] {
            let query = PageQuery { account: "a".to_owned(), direction, after, limit: 1 };
            let text = debug_query::<Sqlite, _>(&select(&query, Some(&NotNewer(9)))).to_string();
            let (text, _binds) = text.split_once(" -- binds").unwrap();
            let plan = sql_query(format!("EXPLAIN QUERY PLAN {text}"));
            let steps: Vec<Step> = plan.load(&mut connection).unwrap();
            let steps: Vec<_> = steps.iter().map(|step| step.detail.as_str()).collect();
            assert_eq!(steps, [format!("SEARCH customers USING INDEX customers_by_creation ({place})")]);
        }
    }
}
