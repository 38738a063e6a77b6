//! What is Postgres's own: what the suites that run on every engine do not show.

mod faults;
mod plans;
mod replicas;
mod schema;
mod settings;
mod stalls;
mod tls;
mod unfenced;
mod url;

use std::iter;

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection},
    store::{Access, Condition, NewVersion, Position, PutOutcome, Record, Store, StoreError},
};
use futures_util::future::join_all;

use crate::{
    postgres_cluster::{connect, database, execute},
    support::{eventually, mia},
};

fn account() -> Account {
    "acme".parse().unwrap()
}

fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

fn living_in(city: &str) -> Record {
    let mut customer = mia();
    customer["PrimaryResidence"]["City"] = city.into();
    let input: CustomerInput = serde_json::from_value(customer).unwrap();
    Record { bytes: serde_json::to_vec(&input).unwrap(), sealed_by: None }
}

async fn open(url: &str) -> Store {
    Store::open(&url.parse().unwrap(), Access::Create).await.unwrap()
}

async fn put(store: &Store, customer_id: &str, condition: Condition) -> Result<PutOutcome, StoreError> {
    store.put(&account(), id(customer_id), NewVersion::of(None), living_in("Musterstadt"), condition).await
}

async fn ids(store: &Store, direction: SortDirection, page_size: u32) -> Vec<String> {
    let (mut ids, mut after): (Vec<String>, Option<Position>) = (Vec::new(), None);
    loop {
        let page = store.list(&account(), direction, after, page_size).await.unwrap();
        ids.extend(page.customers.iter().map(|customer| customer.customer_id.to_string()));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

#[actix_web::test]
async fn a_list_is_in_the_order_of_bytes_whatever_the_collation() {
    let url = database().await;
    let store = open(&url).await;
    let mut expected = ["a", "B", "b", "A", "_", "~", "é", "z", "Z", "ß", "10", "9", "\u{ff5e}", "\u{1f600}"];
    for customer_id in expected {
        put(&store, customer_id, Condition::Always).await.unwrap();
    }
    execute(&url, "UPDATE customers SET created_at = 1").await;
    expected.sort_unstable();

    for page_size in [1, 2, 100] {
        assert_eq!(ids(&store, SortDirection::Asc, page_size).await, expected);
        let mut backwards = ids(&store, SortDirection::Desc, page_size).await;
        backwards.reverse();
        assert_eq!(backwards, expected);
    }
}

#[actix_web::test]
async fn writes_of_one_customer_keep_their_order() {
    let store = open(&database().await).await;
    let writes = (0..300).map(|number| {
        let condition = if number % 3 == 2 { Condition::Present } else { Condition::Always };
        let customer_id = ["c-1", "c-2", "c-3"][number % 2];
        put(&store, customer_id, condition)
    });
    let outcomes: Vec<PutOutcome> = join_all(writes).await.into_iter().map(Result::unwrap).collect();

    for (customer, customer_id) in [(0, "c-1"), (1, "c-2")] {
        let own: Vec<PutOutcome> = outcomes.iter().copied().skip(customer).step_by(2).collect();
        let created = own.iter().filter(|outcome| matches!(outcome, PutOutcome::Created(_))).count();
        assert!(created == 1 && matches!(own[0], PutOutcome::Created(_)), "the first one creates: {own:?}");
        let stored = store.get(&account(), &id(customer_id)).await.unwrap().unwrap();
        assert_eq!(own.last(), Some(&PutOutcome::Updated(stored.version)), "the last one stays");
    }
}

#[actix_web::test]
async fn a_row_that_somebody_locks_holds_up_nothing_else_and_itself_not_for_ever() {
    let url = database().await;
    let store = open(&url).await;
    put(&store, "c-1", Condition::Always).await.unwrap();
    let somebody = connect(&url).await;
    somebody.batch_execute("BEGIN; SELECT * FROM customers FOR UPDATE").await.unwrap();

    let held_up = put(&store, "c-1", Condition::Always);
    let others = async {
        store.check().await.unwrap();
        assert!(store.get(&account(), &id("c-1")).await.unwrap().is_some());
        for number in 2..20 {
            put(&store, &format!("c-{number}"), Condition::Always).await.unwrap();
        }
    };
    let (held_up, ()) = futures_util::future::join(held_up, others).await;

    assert!(matches!(held_up, Err(StoreError::Unavailable(_))), "{held_up:?}");
    somebody.batch_execute("ROLLBACK").await.unwrap();
    put(&store, "c-1", Condition::Always).await.unwrap();
}

#[actix_web::test]
async fn more_writes_of_a_locked_row_wait_for_it_in_their_order_and_hold_up_nothing_else() {
    let url = database().await;
    let store = open(&url).await;
    put(&store, "c-1", Condition::Always).await.unwrap();
    let somebody = connect(&url).await;
    somebody.batch_execute("BEGIN; SELECT * FROM customers FOR UPDATE").await.unwrap();

    let held_up = || {
        let store = store.clone();
        actix_web::rt::spawn(async move { put(&store, "c-1", Condition::Always).await })
    };
    let first = held_up();
    let waiting =
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let watcher = connect(&url).await;
    eventually("the first one waits", async || !watcher.query(waiting, &[]).await.unwrap().is_empty()).await;
    let held_up: Vec<_> = iter::once(first).chain((2..20).map(|_| held_up())).collect();
    for number in 2..20 {
        put(&store, &format!("c-{number}"), Condition::Always).await.unwrap();
        assert!(held_up.iter().all(|write| !write.is_finished()));
    }
    somebody.batch_execute("ROLLBACK").await.unwrap();
    let mut last = None;
    for write in held_up {
        last = Some(write.await.unwrap().unwrap());
    }
    let stored = store.get(&account(), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(last, Some(PutOutcome::Updated(stored.version)), "the last one stays");
    assert_eq!(store.queue_writes(), 0);
}

#[actix_web::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let url = database().await;
    let admin = connect(&url).await;
    let version = admin.query_one("SHOW server_version_num", &[]).await.unwrap();
    let provider = if version.get::<_, &str>(0) >= "150000" { "LOCALE_PROVIDER libc" } else { "" };
    let name = format!("{}_latin", url.rsplit('/').next().unwrap());
    let sql = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' {provider}"
    );
    admin.batch_execute(&sql).await.unwrap();

    let refused = Store::open(&format!("{url}_latin").parse().unwrap(), Access::Create).await.err().unwrap();

    assert!(
        matches!(&refused, StoreError::Failed(cause) if cause.to_string().contains("UTF8")),
        "{refused:?}"
    );
}
