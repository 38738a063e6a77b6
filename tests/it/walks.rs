//! What a list promises to those who read it page by page while others write.

use std::{cell::Cell, collections::BTreeSet};

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection},
    store::{
        Condition, DeleteOutcome, NewVersion, Position, PutOutcome, Record, Store, StoreError, StoredCustomer,
    },
};
use futures_util::future::{join, join_all};

use crate::{
    postgres_cluster::connect,
    support::{Database, Dice, Engine, mia, on_each_engine},
};

const DIRECTIONS: [SortDirection; 2] = [SortDirection::Asc, SortDirection::Desc];

const PAGE_SIZES: [u32; 4] = [1, 2, 7, 100];

fn account() -> Account {
    "acme".parse().unwrap()
}

fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

async fn put(store: &Store, customer_id: &str, condition: Condition) -> Result<PutOutcome, StoreError> {
    let input: CustomerInput = serde_json::from_value(mia()).unwrap();
    let record = Record { bytes: serde_json::to_vec(&input).unwrap(), sealed_by: None };
    store.put(&account(), id(customer_id), NewVersion::of(None), record, condition).await
}

async fn create(store: &Store, customer_id: &str) {
    let outcome = put(store, customer_id, Condition::Absent).await;
    assert!(matches!(outcome, Ok(PutOutcome::Created(_))), "{customer_id}: {outcome:?}");
}

async fn create_all(store: &Store, customer_ids: &[String]) {
    for customer_id in customer_ids {
        create(store, customer_id).await;
    }
}

async fn delete(store: &Store, customer_id: &str) {
    let outcome = store.delete(&account(), id(customer_id), None, None).await;
    assert!(matches!(outcome, Ok(DeleteOutcome::Deleted)), "{customer_id}: {outcome:?}");
}

fn ids(prefix: &str, many: usize) -> Vec<String> {
    (0..many).map(|number| format!("{prefix}-{number:02}")).collect()
}

/// On Postgres two replicas, which have two lanes each.
async fn stores(engine: Engine, database: &Database) -> Vec<Store> {
    let replicas = if engine == Engine::Postgres { 2 } else { 1 };
    join_all((0..replicas).map(|_| database.open())).await
}

/// Reads all pages, each from the next replica. Something happens after each page.
async fn walk(
    stores: &[Store],
    direction: SortDirection,
    size: u32,
    after_page: impl AsyncFn(&[StoredCustomer]),
) -> Vec<String> {
    let (mut listed, mut after): (Vec<StoredCustomer>, Option<Position>) = (Vec::new(), None);
    for store in stores.iter().cycle() {
        let page = store.list(&account(), direction, after, size).await.unwrap();
        after_page(&page.customers).await;
        listed.extend(page.customers);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let is_in_order = listed.is_sorted_by(|a, b| match direction {
        SortDirection::Asc => (a.created, &a.customer_id) < (b.created, &b.customer_id),
        SortDirection::Desc => (a.created, &a.customer_id) > (b.created, &b.customer_id),
    });
    assert!(is_in_order, "{direction:?} {size}: it is in the order of creation");
    listed.into_iter().map(|customer| customer.customer_id.into_string()).collect()
}

/// Checks what a list promises to everybody.
#[track_caller]
fn check(listed: &[String], steady: &[String], what: &str) {
    let unique: BTreeSet<_> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "{what}: nobody is listed twice: {listed:?}");
    let missed: Vec<_> = steady.iter().filter(|customer_id| !unique.contains(customer_id)).collect();
    assert!(missed.is_empty(), "{what}: nobody is missed: {missed:?}");
}

async fn nobody_is_listed_twice_or_missed_while_others_write(engine: Engine) {
    const WRITERS: u64 = 6;
    let database = engine.database().await;
    let (stores, steady) = (stores(engine, &database).await, ids("steady", 25));
    create_all(&stores[0], &steady).await;
    let is_over = Cell::new(false);
    let writers = (0..WRITERS).map(async |writer| {
        let mut dice = Dice::new(writer);
        for number in (0..).take_while(|_| !is_over.get()) {
            let store = &stores[dice.pick(stores.len())];
            let (fickle, old) = (format!("fickle-{}", dice.roll(8)), &steady[dice.pick(steady.len())]);
            match dice.roll(8) {
                0 if number < 100 => {
                    put(store, &format!("new-{writer}-{number}"), Condition::Absent).await.map(drop)
                }
                1 => put(store, old, Condition::Present).await.map(drop),
                2 => put(store, old, Condition::Always).await.map(drop),
                3..=5 => store.delete(&account(), id(&fickle), None, None).await.map(drop),
                _ => put(store, &fickle, Condition::Always).await.map(drop),
            }
            .unwrap();
        }
    });
    let walks = async {
        for (direction, size) in DIRECTIONS.into_iter().flat_map(|a| PAGE_SIZES.map(|size| (a, size))) {
            for _ in 0..4 {
                let listed = walk(&stores, direction, size, async |_| ()).await;
                check(&listed, &steady, &format!("{direction:?} {size}"));
            }
        }
        is_over.set(true);
    };
    join(join_all(writers), walks).await;
}

async fn a_customer_that_is_deleted_and_created_again_is_not_listed_twice(engine: Engine) {
    let database = engine.database().await;
    let (stores, fickle) = (stores(engine, &database).await, ids("fickle", 9));
    create_all(&stores[0], &fickle).await;
    for (direction, size) in DIRECTIONS.into_iter().flat_map(|a| PAGE_SIZES.map(|size| (a, size))) {
        let create_again = async |listed: &[StoredCustomer]| {
            for customer in listed {
                delete(&stores[0], customer.customer_id.as_str()).await;
                create(stores.last().unwrap(), customer.customer_id.as_str()).await;
            }
        };
        let listed = walk(&stores, direction, size, create_again).await;
        check(&listed, &fickle, &format!("{direction:?} {size}"));
    }
}

async fn customers_of_one_timestamp_are_listed_once(engine: Engine) {
    let database = engine.database().await;
    let (stores, steady) = (stores(engine, &database).await, ids("steady", 15));
    create_all(&stores[0], &steady).await;
    let gone = ids("gone", 15);
    for (direction, size) in DIRECTIONS.into_iter().flat_map(|a| PAGE_SIZES.map(|size| (a, size))) {
        create_all(&stores[0], &gone).await;
        database.execute("UPDATE customers SET created_at = 1").await;
        let left = Cell::new(&gone[..]);
        let write = async |listed: &[StoredCustomer]| {
            if let Some((first, rest)) = left.get().split_first() {
                delete(&stores[0], first).await;
                left.set(rest);
            }
            for customer in
                listed.iter().filter(|customer| steady.contains(&customer.customer_id.to_string()))
            {
                put(stores.last().unwrap(), customer.customer_id.as_str(), Condition::Present).await.unwrap();
            }
        };
        let listed = walk(&stores, direction, size, write).await;
        check(&listed, &steady, &format!("{direction:?} {size}"));
        for customer_id in left.get() {
            delete(&stores[0], customer_id).await;
        }
    }
}

on_each_engine! {
    nobody_is_listed_twice_or_missed_while_others_write,
    a_customer_that_is_deleted_and_created_again_is_not_listed_twice,
    customers_of_one_timestamp_are_listed_once,
}

#[actix_web::test]
async fn on_sqlite_the_promise_outlasts_a_clock_that_is_set_back_over_a_restart() {
    for (direction, size, last_id) in [(SortDirection::Asc, 3, "new-00"), (SortDirection::Desc, 1, "new-01")]
    {
        let database = Engine::Sqlite.database().await;
        let (old, new) = (ids("old", 2), ids("new", 2));
        let store = database.open().await;
        create_all(&store, &old).await;
        create_all(&store, &new).await;
        drop(store);
        // As if the clock was a day ahead when they were created.
        let ahead =
            "UPDATE customers SET created_at = created_at + 86400000000 WHERE customer_id LIKE 'new%'";
        database.execute(ahead).await;

        let store = database.open().await;
        let first = store.list(&account(), direction, None, size).await.unwrap();
        assert_eq!(first.customers.last().unwrap().customer_id.as_str(), last_id);
        for customer_id in &new {
            delete(&store, customer_id).await;
        }
        drop(store);
        let store = database.open().await;
        create_all(&store, &new).await;

        let rest = store.list(&account(), direction, first.next, 100).await.unwrap().customers;
        let rest: Vec<_> = rest.iter().map(|customer| customer.customer_id.as_str()).collect();
        assert!(!rest.contains(&last_id), "{direction:?}: {rest:?}");
    }
}

/// Walks in both directions: who is alone on the first page, and who is on the others. Something happens in between.
async fn walks_with_a_break(
    store: &Store,
    between: impl AsyncFn(SortDirection, &str),
) -> Vec<(String, Vec<String>)> {
    let mut walks = Vec::new();
    for direction in DIRECTIONS {
        let first = store.list(&account(), direction, None, 1).await.unwrap();
        let first_id = first.customers[0].customer_id.to_string();
        between(direction, &first_id).await;
        let rest = store.list(&account(), direction, first.next, 100).await.unwrap().customers;
        walks.push((first_id, rest.iter().map(|customer| customer.customer_id.to_string()).collect()));
    }
    walks
}

#[actix_web::test]
async fn on_postgres_a_put_that_waited_for_a_delete_creates_nobody_in_a_walk_that_began_meanwhile() {
    let database = Engine::Postgres.database().await;
    let store = database.open().await;
    create_all(&store, &ids("c", 3)).await;
    for (direction, first_id) in [(SortDirection::Asc, "c-00"), (SortDirection::Desc, "c-02")] {
        // A transaction sees one state of what others do.
        let (somebody, watcher) = (connect(&database.url).await, connect(&database.url).await);
        let delete = format!("BEGIN; DELETE FROM customers WHERE customer_id = '{first_id}'");
        somebody.batch_execute(&delete).await.unwrap();
        let waits = put(&store, first_id, Condition::Always);
        let walk = async {
            let waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while watcher.query(waiting, &[]).await.unwrap().is_empty() {}
            let first = store.list(&account(), direction, None, 1).await.unwrap();
            assert_eq!(first.customers[0].customer_id.as_str(), first_id);
            somebody.batch_execute("COMMIT").await.unwrap();
            first.next
        };
        let (created, next) = join(waits, walk).await;
        assert!(matches!(created, Ok(PutOutcome::Created(_))), "{created:?}");
        let rest = store.list(&account(), direction, next, 100).await.unwrap().customers;
        let rest: Vec<_> = rest.iter().map(|customer| customer.customer_id.as_str()).collect();
        assert!(rest.len() == 2 && !rest.contains(&first_id), "{direction:?}: {rest:?}");
        // In the order of the ids again.
        database.execute("UPDATE customers SET created_at = substr(customer_id, 3)::bigint").await;
    }
}

#[actix_web::test]
async fn on_postgres_the_clocks_of_replicas_may_differ() {
    let database = Engine::Postgres.database().await;
    let store = database.open().await;
    create_all(&store, &ids("c", 3)).await;
    let create_again = async |direction, customer_id: &str| {
        delete(&store, customer_id).await;
        create(&store, customer_id).await;
        // As a replica does whose clock is wrong.
        let minutes = if direction == SortDirection::Asc { 20 } else { -20 };
        let by_another_clock = format!(
            "UPDATE customers SET created_at = created_at + {minutes} * 60000000 WHERE customer_id = '{customer_id}'"
        );
        database.execute(&by_another_clock).await;
    };
    for (first, rest) in walks_with_a_break(&store, create_again).await {
        assert!(rest.len() == 2 && !rest.contains(&first), "{first}, {rest:?}");
    }
}

#[actix_web::test]
async fn on_postgres_customers_that_came_from_another_server_are_listed() {
    let database = Engine::Postgres.database().await;
    let store = database.open().await;
    create_all(&store, &ids("c", 20)).await;
    // Transactions have other numbers there: larger ones, or those that are under way here. A dump takes a while.
    let two_hours = 7_200_000_000_i64;
    let restore = format!(
        "UPDATE customers SET created_at = created_at - {two_hours}, created_in = (pg_current_xact_id()::text::bigint + \
            CASE WHEN customer_id < 'c-10' THEN substr(customer_id, 3)::int ELSE 1000000 END)::text::xid8"
    );
    database.execute(&restore).await;
    let others_write = async |direction, _: &str| {
        for number in 0..20 {
            create(&store, &format!("{direction:?}-{number}")).await;
        }
    };
    for (_, rest) in walks_with_a_break(&store, others_write).await {
        let restored = rest.iter().filter(|customer_id| customer_id.starts_with("c-")).count();
        assert!(restored >= 19, "{rest:?}");
    }
}
