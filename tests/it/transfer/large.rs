//! Pages of large customers end early, so that no reader needs memory for hundreds of them.

use customers_api::{
    account::Account,
    model::SortDirection,
    store::{Condition, NewVersion, Record, Store},
};

use super::succeeds;
use crate::support::{Database, Engine, TestApi, full, on_each_engine};

const MEBIBYTE: usize = 1024 * 1024;

async fn put(store: &Store, customer_id: &str, record_bytes: usize) {
    let (account, id): (Account, _) = ("acme".parse().unwrap(), customer_id.parse().unwrap());
    let bytes = format!("{{\"A\":\"{}\"}}", "x".repeat(record_bytes - 8)).into_bytes();
    let record = Record { bytes, sealed_by: None };
    store.put(&account, id, NewVersion::of(None), record, Condition::Always).await.unwrap();
}

/// How many customers each page has.
async fn pages(database: &Database, direction: SortDirection) -> Vec<usize> {
    let (store, account) = (database.open().await, "acme".parse().unwrap());
    let (mut pages, mut ids, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = store.list(&account, direction, after, 100).await.unwrap();
        pages.push(page.customers.len());
        ids.extend(page.customers.into_iter().map(|customer| customer.customer_id.into_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if direction == SortDirection::Desc {
        ids.reverse();
    }
    let expected: Vec<String> = (0..ids.len()).map(|number| format!("c-{number}")).collect();
    assert_eq!(ids, expected, "each is listed once, in order");
    pages
}

async fn a_page_ends_after_four_mebibytes(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for (number, mebibytes) in [1, 1, 1, 1, 1, 1, 5, 1, 2].into_iter().enumerate() {
        put(&store, &format!("c-{number}"), mebibytes * MEBIBYTE).await;
    }
    assert_eq!(pages(&database, SortDirection::Asc).await, [4, 2, 1, 2]);
    assert_eq!(pages(&database, SortDirection::Desc).await, [2, 1, 4, 2]);
    let mut scanned = Vec::new();
    let mut after = None;
    loop {
        let rows = store.scan(after, 100).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some((last.account.clone(), last.customer_id.clone()));
        scanned.push(rows.len());
    }
    assert_eq!(scanned, [4, 2, 1, 2]);
    let counted = succeeds(&database, &["seal", "status"], b"").await;
    assert!(counted.lines().any(|line| line.split_whitespace().eq(["-", "9"])), "{counted}");
    let exported = succeeds(&database, &["export"], b"").await;
    assert_eq!(exported.lines().filter(|line| line.starts_with("{\"Customer\"")).count(), 9);
}

async fn large_customers_are_listed_and_moved(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut large = full();
    let document = large["Identities"][1].clone();
    large["Identities"] = vec![document; 12_000].into();
    for number in 0..6 {
        api.put(&format!("c-{number}"), &large).send().await.expect(201);
    }
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        // To hold so much against the contract takes longer than the keys stay fresh.
        let page = api.list(&format!("?PageSize=100{token}")).send_unchecked().await.expect(200).json();
        pages.push(page["Items"].as_array().unwrap().len());
        let Some(next) = page["PageToken"].as_str() else { break };
        token = format!("&PageToken={next}");
    }
    assert!(pages.len() > 1 && pages.iter().sum::<usize>() == 6, "{pages:?}");
    let exported = succeeds(&api.database, &["export"], b"").await;
    let other = engine.other().database().await;
    let said = succeeds(&other, &["import"], exported.as_bytes()).await;
    assert!(said.starts_with("imported 6 customers and 1 keys"), "{said}");
    assert_eq!(succeeds(&other, &["export"], b"").await, exported);
}

on_each_engine! {
    a_page_ends_after_four_mebibytes,
    large_customers_are_listed_and_moved,
}
