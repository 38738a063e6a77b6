//! What a list promises holds for imported customers, too.

use customers_api::{
    account::Account,
    clock,
    model::{SortDirection, Timestamp},
    store::{
        Condition, DeleteOutcome, ImportOutcome, ImportedCustomer, NewVersion, Position, PutOutcome, Record,
        Store, StoredCustomer, Version,
    },
};

use crate::support::{Engine, on_each_engine};

const SECOND: i64 = 1_000_000;

fn account() -> Account {
    "acme".parse().unwrap()
}

fn record() -> Record {
    Record { bytes: b"{\"A\":1}".to_vec(), sealed_by: None }
}

fn imported(customer_id: &str, created: i64) -> ImportedCustomer {
    let created = Timestamp::from_micros(created).unwrap();
    let customer = StoredCustomer {
        customer_id: customer_id.parse().unwrap(),
        record: record(),
        version: Version::new(),
        created,
        updated: created,
    };
    ImportedCustomer { account: account(), customer }
}

async fn import(store: &Store, customer: ImportedCustomer, replace: bool) {
    assert_eq!(store.import(&[customer], replace).await.unwrap(), [ImportOutcome::Written]);
}

async fn create(store: &Store, customer_id: &str) -> i64 {
    let id: customers_api::model::CustomerId = customer_id.parse().unwrap();
    let put = store.put(&account(), id.clone(), NewVersion::of(None), record(), Condition::Absent).await;
    assert!(matches!(put, Ok(PutOutcome::Created(_))), "{put:?}");
    store.get(&account(), &id).await.unwrap().unwrap().created.micros()
}

async fn delete(store: &Store, customer_id: &str) {
    let deleted = store.delete(&account(), customer_id.parse().unwrap(), None, None).await;
    assert!(matches!(deleted, Ok(DeleteOutcome::Deleted)), "{deleted:?}");
}

async fn page(
    store: &Store,
    direction: SortDirection,
    after: Option<Position>,
    limit: u32,
) -> (Vec<String>, Option<Position>) {
    let page = store.list(&account(), direction, after, limit).await.unwrap();
    (page.customers.into_iter().map(|customer| customer.customer_id.into_string()).collect(), page.next)
}

async fn an_import_during_a_walk_lists_nobody_twice_and_misses_nobody(engine: Engine) {
    for (direction, first, rest) in [
        (SortDirection::Asc, ["c-0", "c-1"], ["c-2", "c-3", "c-4", "c-5"]),
        (SortDirection::Desc, ["c-5", "c-4"], ["c-3", "c-2", "c-1", "c-0"]),
    ] {
        let database = engine.database().await;
        let store = database.open().await;
        // Hours ago, as rows that came from a dump.
        let start = clock::now().timestamp_micros() - 5 * 3600 * SECOND;
        for number in 0..6 {
            create(&store, &format!("c-{number}")).await;
            let sql = format!(
                "UPDATE customers SET created_at = {} WHERE customer_id = 'c-{number}'",
                start + number * SECOND
            );
            database.execute(&sql).await;
        }
        let (listed, next) = page(&store, direction, None, 2).await;
        assert_eq!(listed, first);
        // In the middle of what is not listed yet: one that was deleted, and one that is replaced by an older one.
        delete(&store, first[1]).await;
        import(&store, imported(first[1], start + 2 * SECOND + SECOND / 2), false).await;
        import(&store, imported(first[0], start + 2 * SECOND + SECOND / 4), true).await;
        // Replaced, and created when it was.
        import(&store, imported("c-3", start + 3 * SECOND), true).await;
        // New ones.
        import(&store, imported("n-1", start - SECOND), false).await;
        import(&store, imported("n-2", start + 2 * SECOND + SECOND / 3), false).await;
        assert_eq!(page(&store, direction, next, 100).await, (rest.map(str::to_owned).to_vec(), None));

        let (all, _) = page(&store, direction, None, 100).await;
        assert_eq!(all.len(), 8, "a walk that begins later lists them all: {all:?}");
    }
}

async fn a_customer_that_was_imported_and_created_again_is_not_listed_twice(engine: Engine) {
    for direction in [SortDirection::Asc, SortDirection::Desc] {
        let database = engine.database().await;
        let service = database.open().await;
        let importer = database.open().await;
        // As if the clock of the other machine was ahead.
        let ahead = clock::now().timestamp_micros() + 30 * SECOND;
        for (customer_id, created) in [("c-1", ahead), ("c-0", ahead - SECOND), ("c-2", ahead + SECOND)] {
            import(&importer, imported(customer_id, created), false).await;
        }
        let (first, next) = page(&service, direction, None, 1).await;
        delete(&service, &first[0]).await;
        create(&service, &first[0]).await;
        let (rest, _) = page(&service, direction, next, 100).await;
        assert!(rest.len() == 2 && !rest.contains(&first[0]), "{direction:?}: {first:?}, {rest:?}");
    }
}

on_each_engine! {
    an_import_during_a_walk_lists_nobody_twice_and_misses_nobody,
    a_customer_that_was_imported_and_created_again_is_not_listed_twice,
}

#[actix_web::test]
async fn on_sqlite_timestamps_never_run_backwards_after_an_import_and_a_restart() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    let ahead = clock::now().timestamp_micros() + 30 * SECOND;
    // The newest does not come last.
    for (customer_id, created) in [("c-1", ahead), ("c-0", 0), ("c-2", SECOND)] {
        import(&store, imported(customer_id, created), false).await;
    }
    drop(store);
    let store = database.open().await;
    assert!(create(&store, "new").await > ahead, "as if the clock was set back");
    let (listed, _) = page(&store, SortDirection::Asc, None, 100).await;
    assert_eq!(listed, ["c-0", "c-2", "c-1", "new"]);
    // A delete notes its own timestamp, which is an earlier one in a service that has run since before the import.
    let service = database.open().await;
    import(&store, imported("c-3", ahead + 25 * SECOND), false).await;
    delete(&service, "c-3").await;
    drop((service, store));
    assert!(create(&database.open().await, "newer").await > ahead + 25 * SECOND);
}
