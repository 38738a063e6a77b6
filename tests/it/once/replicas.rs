//! Over two replicas: a request is sent to both, and one copy waits while newer writes are acknowledged. And a customer
//! whose writes fail, which holds up nobody else.

use actix_web::rt::spawn;
use customers_api::store::{
    Condition, DeleteOutcome, ImportOutcome, ImportedCustomer, PutOutcome, StoreError, Version,
};
use futures_util::future::join_all;

use super::writes::{account, delete, id, put, put_for, signature};
use crate::{
    postgres_cluster::connect,
    support::{Database, Engine, eventually, on_each_engine},
};

/// Waits until so many sessions of the database wait for somebody's lock.
async fn until_wait(database: &Database, sessions: i64) {
    const WAITING: &str = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN \
        (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    let monitor = connect(&database.url).await;
    eventually("they wait", async || {
        monitor.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) >= sessions
    })
    .await;
}

#[actix_web::test]
async fn a_copy_that_waits_while_a_newer_update_is_acknowledged_changes_nothing() {
    let database = Engine::Postgres.database().await;
    let (one, two) = (database.open().await, database.open().await);
    for round in 0..10 {
        let customer_id = format!("c-{round}");
        put(&one, &customer_id, Condition::Always, signature()).await.unwrap();
        let somebody = connect(&database.url).await;
        let hold = format!("BEGIN; SELECT FROM customers WHERE customer_id = '{customer_id}' FOR UPDATE");
        somebody.batch_execute(&hold).await.unwrap();
        let (older, newer) = (signature(), signature());
        let first = {
            let (one, customer_id) = (one.clone(), customer_id.clone());
            spawn(async move {
                let put = |signature| put(&one, &customer_id, Condition::Always, signature);
                tokio::join!(put(older), put(newer))
            })
        };
        until_wait(&database, 1).await;
        let copy = {
            let (two, customer_id) = (two.clone(), customer_id.clone());
            spawn(async move { put(&two, &customer_id, Condition::Always, older).await })
        };
        until_wait(&database, 2).await;
        somebody.batch_execute("ROLLBACK").await.unwrap();

        let (first, second) = first.await.unwrap();
        let PutOutcome::Updated(newest) = second.unwrap() else { panic!("it was there") };
        assert_eq!(copy.await.unwrap().unwrap(), first.unwrap(), "the first answer again");
        let stored = two.get(&account(), &id(&customer_id)).await.unwrap().unwrap();
        assert_eq!(stored.version, newest, "an acknowledged update stays");
    }
}

/// The copy waits behind another customer of its group, whose row somebody holds.
#[actix_web::test]
async fn a_copy_that_waits_while_the_customer_is_created_and_deleted_brings_nobody_back() {
    let database = Engine::Postgres.database().await;
    let (one, two) = (database.open().await, database.open().await);
    put(&two, "a-1", Condition::Always, signature()).await.unwrap();
    for round in 0..10 {
        let customer_id = format!("c-{round}");
        let somebody = connect(&database.url).await;
        somebody
            .batch_execute("BEGIN; SELECT FROM customers WHERE customer_id = 'a-1' FOR UPDATE")
            .await
            .unwrap();
        let (create, remove) = (signature(), signature());
        let copy = {
            let (two, customer_id) = (two.clone(), customer_id.clone());
            spawn(async move {
                let held = put(&two, "a-1", Condition::Always, signature());
                tokio::join!(held, put(&two, &customer_id, Condition::Always, create)).1
            })
        };
        until_wait(&database, 1).await;
        let first = {
            let (one, customer_id) = (one.clone(), customer_id.clone());
            spawn(async move {
                let created = put(&one, &customer_id, Condition::Always, create).await;
                (created, delete(&one, &customer_id, None, remove).await)
            })
        };
        tokio::select! {
            () = until_wait(&database, 2) => {}
            () = eventually("the first one is done", async || first.is_finished()) => {}
        }
        somebody.batch_execute("ROLLBACK").await.unwrap();

        let (created, deleted) = first.await.unwrap();
        assert_eq!(deleted, DeleteOutcome::Deleted);
        assert_eq!(copy.await.unwrap().unwrap(), created.unwrap(), "the first answer again");
        assert!(two.get(&account(), &id(&customer_id)).await.unwrap().is_none(), "{customer_id} is back");
    }
}

/// As such a row comes from an older version of the service, or from somebody's own SQL.
async fn note_the_signature_that_its_row_shows(database: &Database, customer_id: &str) {
    database
        .execute(&format!(
            "INSERT INTO used_signatures (expires_at, hash, outcome) \
             SELECT signature_expires_at, version, version FROM customers WHERE customer_id = '{customer_id}'"
        ))
        .await;
}

async fn a_signature_that_is_noted_already_harms_no_write(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for customer_id in ["replaced", "deleted"] {
        put(&store, customer_id, Condition::Always, signature()).await.unwrap();
        note_the_signature_that_its_row_shows(&database, customer_id).await;
    }
    let (other, acme) = ("other".parse().unwrap(), account());
    let others = (0..20).map(|number| put_for(&store, &other, format!("c-{number}"), signature()));

    let (replaced, deleted, others) = tokio::join!(
        put_for(&store, &acme, "replaced".to_owned(), signature()),
        delete(&store, "deleted", None, signature()),
        join_all(others)
    );

    assert!(matches!(replaced, Ok(PutOutcome::Updated(_))), "{replaced:?}");
    assert_eq!(deleted, DeleteOutcome::Deleted);
    assert!(others.iter().all(|put| matches!(put, Ok(PutOutcome::Created(_)))), "{others:?}");
}

async fn an_import_of_what_is_there_leaves_its_signatures_where_they_are(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let signature_of_the_row = signature();
    let first = put(&store, "c-1", Condition::Always, signature_of_the_row).await.unwrap();
    let customer = store.get(&account(), &id("c-1")).await.unwrap().unwrap();
    let imported = ImportedCustomer { account: account(), customer };

    assert_eq!(store.import(&[imported], true).await.unwrap(), [ImportOutcome::AlreadyThere]);

    assert_eq!(database.count("used_signatures").await, 0);
    assert_eq!(put(&store, "c-1", Condition::Always, signature_of_the_row).await.unwrap(), first);
    let next = put(&store, "c-1", Condition::Always, signature()).await.unwrap();
    assert!(matches!(next, PutOutcome::Updated(_)), "{next:?}");
}

/// The rule stands for whatever the database refuses each time: here two customers may not have the same record.
async fn a_write_that_violates_a_unique_index_each_time_fails_alone(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    put(&store, "c-1", Condition::Always, signature()).await.unwrap();
    database.execute("CREATE UNIQUE INDEX nobody_twice ON customers (account, record)").await;
    let accounts: Vec<_> = (0..20).map(|number| format!("a-{number}").parse().unwrap()).collect();
    for _ in 0..3 {
        let (culprit, others) = tokio::join!(
            put(&store, "c-2", Condition::Always, signature()),
            join_all(accounts.iter().map(|account| put_for(&store, account, "c-1".to_owned(), signature())))
        );

        assert!(matches!(culprit, Err(StoreError::Failed(_))), "{culprit:?}");
        assert!(others.iter().all(Result::is_ok), "{others:?}");
    }
}

async fn a_row_with_a_damaged_version_can_be_replaced_and_deleted(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let damaged = if engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" };
    for customer_id in ["replaced", "deleted", "kept"] {
        put(&store, customer_id, Condition::Always, signature()).await.unwrap();
    }
    database.execute(&format!("UPDATE customers SET version = {damaged}")).await;

    let zero = Condition::OneOf(vec![Version::ZERO]);
    let kept = put(&store, "kept", zero, signature()).await.unwrap();
    assert_eq!(kept, PutOutcome::ConditionFailed, "no version names it");
    let replaced = put(&store, "replaced", Condition::Always, signature()).await.unwrap();
    assert!(matches!(replaced, PutOutcome::Updated(_)), "{replaced:?}");
    assert_eq!(delete(&store, "deleted", None, signature()).await, DeleteOutcome::Deleted);
}

on_each_engine! {
    a_row_with_a_damaged_version_can_be_replaced_and_deleted,
    a_signature_that_is_noted_already_harms_no_write,
    a_write_that_violates_a_unique_index_each_time_fails_alone,
    an_import_of_what_is_there_leaves_its_signatures_where_they_are,
}
