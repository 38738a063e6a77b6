//! The store, without HTTP: the same suite on each engine.

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection, Timestamp},
    store::{
        Access, Condition, DatabaseUrl, Delete, InvalidDatabaseUrl, Page, Position, Put, SigningKey, Store,
        StoreError, Version,
    },
};
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{Engine, full, mia, on_each_engine};

fn account(name: &str) -> Account {
    name.parse().unwrap()
}

fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

fn input(customer: Value) -> CustomerInput {
    serde_json::from_value(customer).unwrap()
}

async fn put(store: &Store, customer_id: &str, condition: Condition) -> Put {
    store.put(&account("acme"), id(customer_id), input(mia()), condition).await.unwrap()
}

async fn list(store: &Store, direction: SortDirection, after: Option<Position>, limit: u32) -> Page {
    store.list(&account("acme"), direction, after, limit).await.unwrap()
}

fn created(put: Put) -> Version {
    let Put::Created(version) = put else { panic!("{put:?}") };
    version
}

fn updated(put: Put) -> Version {
    let Put::Updated(version) = put else { panic!("{put:?}") };
    version
}

async fn a_customer_is_kept_as_it_is(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let mut extreme = full();
    for (pointer, text) in [
        ("/FullName/FirstName", "\u{1F600}".repeat(50)),
        ("/FullName/LastName", "'; DROP TABLE customers; -- \\ \" \u{1} \u{7f} \r\n\t".to_owned()),
        ("/PrimaryResidence/Street2", String::new()),
        ("/DateOfBirth", "0000-02-29".to_owned()),
        ("/Identities/0/ExpiryDate", "9999-12-31".to_owned()),
    ] {
        *extreme.pointer_mut(pointer).unwrap() = text.into();
    }
    for customer in [mia(), full(), extreme] {
        let outcome =
            store.put(&account("acme"), id("c-1"), input(customer.clone()), Condition::Always).await.unwrap();
        let stored = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
        assert!(
            matches!(outcome, Put::Created(version) | Put::Updated(version) if version == stored.version)
        );
        let mut kept = serde_json::to_value(&stored.customer).unwrap();
        for member in ["CustomerID", "Created"] {
            kept.as_object_mut().unwrap().remove(member);
        }
        assert_eq!(kept, customer);
    }
}

async fn each_condition_decides(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let strange = Version::new();
    for condition in
        [Condition::Present, Condition::OneOf(vec![strange]), Condition::OneOf(vec![]), Condition::Never]
    {
        assert_eq!(put(&store, "c-1", condition).await, Put::ConditionFailed);
    }
    let first = created(put(&store, "c-1", Condition::Absent).await);
    for condition in
        [Condition::Absent, Condition::OneOf(vec![strange]), Condition::OneOf(vec![]), Condition::Never]
    {
        assert_eq!(put(&store, "c-1", condition).await, Put::ConditionFailed);
    }
    assert_eq!(
        store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap().version,
        first,
        "nothing was written"
    );
    let second = updated(put(&store, "c-1", Condition::OneOf(vec![strange, first])).await);
    let third = updated(put(&store, "c-1", Condition::Present).await);
    let fourth = updated(put(&store, "c-1", Condition::Always).await);

    let delete =
        |name: &'static str, versions| store.delete(Box::leak(Box::new(account("acme"))), id(name), versions);
    assert_eq!(delete("c-2", None).await.unwrap(), Delete::NotFound);
    assert_eq!(delete("c-2", Some(vec![fourth])).await.unwrap(), Delete::NotFound);
    assert_eq!(delete("c-1", Some(vec![first, second, third])).await.unwrap(), Delete::ConditionFailed);
    assert_eq!(delete("c-1", Some(vec![])).await.unwrap(), Delete::ConditionFailed);
    assert_eq!(delete("c-1", Some(vec![first, fourth])).await.unwrap(), Delete::Deleted);
    assert_eq!(delete("c-1", None).await.unwrap(), Delete::NotFound);
}

async fn an_update_keeps_the_moment_of_creation_and_moves_the_other_one(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    created(put(&store, "c-1", Condition::Always).await);
    let mut last = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(last.customer.created, last.updated);
    for condition in [Condition::Always, Condition::Present, Condition::OneOf(vec![last.version])] {
        let condition = if matches!(condition, Condition::OneOf(_)) {
            Condition::OneOf(vec![last.version])
        } else {
            condition
        };
        updated(put(&store, "c-1", condition).await);
        let next = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
        assert_eq!(next.customer.created, last.customer.created);
        assert!(next.updated > last.updated);
        last = next;
    }
}

async fn accounts_are_apart(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    created(put(&store, "c-1", Condition::Always).await);
    let other = account("other");
    assert!(store.get(&other, &id("c-1")).await.unwrap().is_none());
    assert_eq!(store.delete(&other, id("c-1"), None).await.unwrap(), Delete::NotFound);
    assert_eq!(store.list(&other, SortDirection::Desc, None, 10).await.unwrap().customers, []);
    created(store.put(&other, id("c-1"), input(full()), Condition::Always).await.unwrap());
    let mine = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(mine.customer.input, input(mia()));
}

async fn many_writes_at_once_each_get_their_own_outcome(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let names: Vec<_> = (0..300).map(|number| format!("c-{}", number % 100)).collect();
    let outcomes = join_all(names.iter().map(|name| put(&store, name, Condition::Always))).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(
            matches!(outcome, Put::Created(_)),
            number < 100,
            "{number}: the writes of one id keep their order"
        );
    }
    assert_eq!(list(&store, SortDirection::Asc, None, 1000).await.customers.len(), 100);
    for (name, outcome) in names.iter().zip(&outcomes).skip(200) {
        let stored = store.get(&account("acme"), &id(name)).await.unwrap().unwrap();
        assert_eq!(stored.version, updated(*outcome), "the last write of an id is the one that stays");
    }
}

async fn a_write_that_fails_its_condition_harms_no_other_of_its_group(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let outcomes = join_all((0..100).map(|number| {
        let condition = if number % 3 == 0 { Condition::Present } else { Condition::Absent };
        let (store, name) = (&store, format!("c-{number}"));
        async move { put(store, &name, condition).await }
    }))
    .await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(*outcome == Put::ConditionFailed, number % 3 == 0, "{number}");
    }
}

async fn a_queue_that_is_full_refuses_and_forgets_nothing(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let (acme, number) = (account("acme"), 5000);
    let writes = (0..number)
        .map(|number| store.put(&acme, id(&format!("c-{number}")), input(mia()), Condition::Always));
    let outcomes = join_all(writes).await;
    let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Busy))).count();
    assert_eq!(written + refused, number, "a write is made or refused");
    assert!(refused > 0, "the queue is bounded");
    for (number, outcome) in outcomes.iter().enumerate().step_by(7) {
        let stored = store.get(&acme, &id(&format!("c-{number}"))).await.unwrap();
        assert_eq!(
            stored.is_some(),
            outcome.is_ok(),
            "{number}: what was refused is not there, what was not is"
        );
    }
}

async fn what_was_written_is_there_after_the_store_is_opened_again(engine: Engine) {
    let database = engine.database().await;
    let version = created(put(&database.open().await, "c-1", Condition::Always).await);
    let stored = database.open().await.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(stored.version, version);
}

async fn ids_are_compared_by_code_point(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for name in ["a", "A", "é", "e\u{301}", " a", "a ", "\u{1F600}", "\u{ffff}"] {
        created(put(&store, name, Condition::Absent).await);
    }
    assert_eq!(list(&store, SortDirection::Asc, None, 100).await.customers.len(), 8);
}

async fn pages_go_on_after_a_customer_that_is_gone(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for number in 0..6 {
        created(put(&store, &format!("c-{number}"), Condition::Always).await);
    }
    for (direction, next) in [(SortDirection::Asc, "c-2"), (SortDirection::Desc, "c-3")] {
        let page = list(&store, direction, None, 2).await;
        let last = page.next.clone().unwrap();
        store.delete(&account("acme"), last.customer_id.clone(), None).await.unwrap();
        let page = list(&store, direction, page.next, 2).await;
        assert_eq!(page.customers[0].customer_id, id(next));
    }
}

async fn several_stores_may_open_an_empty_database_at_once(engine: Engine) {
    let database = engine.database().await;
    let stores = join_all((0..10).map(|_| database.open())).await;
    for (number, store) in stores.iter().enumerate() {
        created(put(store, &format!("c-{number}"), Condition::Absent).await);
    }
    let secrets = join_all(
        stores
            .iter()
            .enumerate()
            .map(|(number, store)| store.secret("test", vec![u8::try_from(number).unwrap()])),
    )
    .await;
    let secrets: Vec<_> = secrets.into_iter().map(Result::unwrap).collect();
    assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]), "all get the same secret");
}

async fn threads_that_look_up_at_once_each_see_what_was_acknowledged(engine: Engine) {
    const THREADS: usize = 8;
    const CUSTOMERS: usize = 50;
    let database = engine.database().await;
    let store = database.open().await;
    let runtime = tokio::runtime::Handle::current();
    let threads = (0..THREADS).map(|thread| {
        let (store, runtime) = (store.clone(), runtime.clone());
        tokio::task::spawn_blocking(move || {
            for number in 0..CUSTOMERS {
                let customer_id = format!("c-{thread}-{number}");
                let version = created(runtime.block_on(put(&store, &customer_id, Condition::Absent)));
                let stored = runtime.block_on(store.get(&account("acme"), &id(&customer_id)));
                assert_eq!(stored.unwrap().unwrap().version, version);
            }
        })
    });
    for thread in join_all(threads).await {
        thread.unwrap();
    }
}

async fn keys_are_registered_listed_and_revoked_once(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let moment = |micros| Timestamp::from_micros(micros).unwrap();
    let key = |key_id: &str, created| SigningKey {
        key_id: key_id.to_owned(),
        account: account("acme"),
        algorithm: "ES384".to_owned(),
        public_key: "PEM".to_owned(),
        created: moment(created),
        revoked: None,
    };
    assert!(store.add_signing_key(key("b", 1)).await.unwrap());
    assert!(store.add_signing_key(key("a", 2)).await.unwrap());
    assert!(!store.add_signing_key(key("a", 3)).await.unwrap(), "the id is taken");
    assert!(store.revoke_signing_key("b", moment(4)).await.unwrap());
    assert!(!store.revoke_signing_key("b", moment(5)).await.unwrap(), "it is revoked already");
    assert!(!store.revoke_signing_key("c", moment(5)).await.unwrap(), "there is none");
    assert!(!store.add_signing_key(key("b", 6)).await.unwrap(), "a revoked id is not free again");
    let revoked = SigningKey { revoked: Some(moment(4)), ..key("b", 1) };
    assert_eq!(store.signing_keys().await.unwrap(), [revoked, key("a", 2)]);
}

on_each_engine! {
    a_customer_is_kept_as_it_is,
    each_condition_decides,
    an_update_keeps_the_moment_of_creation_and_moves_the_other_one,
    accounts_are_apart,
    many_writes_at_once_each_get_their_own_outcome,
    a_write_that_fails_its_condition_harms_no_other_of_its_group,
    a_queue_that_is_full_refuses_and_forgets_nothing,
    what_was_written_is_there_after_the_store_is_opened_again,
    ids_are_compared_by_code_point,
    pages_go_on_after_a_customer_that_is_gone,
    several_stores_may_open_an_empty_database_at_once,
    threads_that_look_up_at_once_each_see_what_was_acknowledged,
    keys_are_registered_listed_and_revoked_once,
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

#[cfg(unix)]
#[actix_web::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let url: DatabaseUrl =
        format!("sqlite:{}", directory.path().join("customers.db").display()).parse().unwrap();
    let store = Store::open(&url, Access::Create).await.unwrap();
    created(put(&store, "c-1", Condition::Always).await);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}
