//! What is special to SQLite: what the suites that run on each engine do not show.

use customers_api::{
    account::Account,
    clock,
    model::{CustomerInput, SortDirection},
    record,
    store::{Access, Condition, DatabaseUrl, InvalidDatabaseUrl, PutOutcome, Store, StoreError},
};

use crate::support::{Engine, mia};

fn account() -> Account {
    "acme".parse().unwrap()
}

async fn create(store: &Store, customer_id: &str) {
    let input: CustomerInput = serde_json::from_value(mia()).unwrap();
    let record = record::encode(&input).unwrap();
    let outcome = store.put(&account(), customer_id.parse().unwrap(), record, Condition::Always).await;
    assert!(matches!(outcome, Ok(PutOutcome::Created(_))), "{outcome:?}");
}

#[test]
fn an_unknown_database_is_refused() {
    for url in [
        "mysql://host/customers",
        "customers.db",
        "",
        "SQLITE:customers.db",
        "file:customers.db",
        "sqlite3:a",
    ] {
        assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl::Scheme), "{url}");
    }
    for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:a?mode=memory"] {
        assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl::Path), "{url}");
    }
}

#[actix_web::test]
async fn a_file_that_must_be_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("customers.db");
    let url: DatabaseUrl = format!("sqlite:{}", path.display()).parse().unwrap();
    assert!(matches!(Store::open(&url, Access::Existing).await, Err(StoreError::Unavailable(_))));
    assert!(!path.exists());
}

#[actix_web::test]
async fn customers_are_listed_in_the_order_of_creation_also_after_the_clock_was_set_back() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    create(&store, "first").await;
    let tomorrow = clock::now().timestamp_micros() + 86_400_000_000;
    database.execute(&format!("UPDATE customers SET created_at = {tomorrow}, updated_at = {tomorrow}")).await;
    drop(store);

    let store = database.open().await;
    create(&store, "second").await;

    let listed = store.list(&account(), SortDirection::Asc, None, 10).await.unwrap().customers;
    let ids: Vec<_> = listed.iter().map(|customer| customer.customer_id.as_str()).collect();
    assert_eq!(ids, ["first", "second"]);
    assert!(listed[1].created.micros() > tomorrow);
}

#[cfg(unix)]
#[actix_web::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let url: DatabaseUrl =
        format!("sqlite:{}", directory.path().join("customers.db").display()).parse().unwrap();
    let store = Store::open(&url, Access::Create).await.unwrap();
    create(&store, "c-1").await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}
