//! The indexes that the statements go through.

use std::collections::BTreeMap;

use customers_api::{model::SortDirection, store::Condition};

use super::{account, id, ids, open, put};
use crate::{
    postgres_cluster::{connect, database, execute},
    support::eventually,
};

/// How often each index of `customers` was used, as far as the server has noted it.
async fn index_scans(url: &str) -> BTreeMap<String, i64> {
    let scans = "SELECT indexrelname::text, idx_scan FROM pg_stat_user_indexes WHERE relname = 'customers'";
    let rows = connect(url).await.query(scans, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// To the planner, each account has one customer then, and the order of creation finds it as well as the key does. But an
/// account may get many customers.
#[actix_web::test]
async fn customers_are_found_by_their_key_and_lists_by_the_order_of_creation() {
    let url = database().await;
    drop(open(&url).await);
    execute(
        &url,
        "INSERT INTO customers (account, customer_id, version, created_at, updated_at, record) \
         SELECT 'a-' || number, 'c', '\\x00', number, number, '{}' FROM generate_series(1, 1000) AS number",
    )
    .await;
    connect(&url).await.batch_execute("ANALYZE").await.unwrap();
    let before = index_scans(&url).await;

    let store = open(&url).await;
    for condition in [Condition::Always, Condition::Present, Condition::Always, Condition::Absent] {
        put(&store, "c-1", condition).await.unwrap();
        store.get(&account(), &id("c-1")).await.unwrap();
    }
    store.delete(&account(), id("c-1"), None, None).await.unwrap();
    for direction in [SortDirection::Asc, SortDirection::Desc] {
        ids(&store, direction, 1).await;
    }
    drop(store);

    // A server notes it when the connection ends, at the latest.
    let used = async |index: &str| index_scans(&url).await[index] - before[index];
    eventually("the scans are noted", async || {
        used("customers_pkey").await >= 9 && used("customers_by_creation").await >= 2
    })
    .await;
    assert_eq!(used("customers_by_creation").await, 2, "once for each page");
}
