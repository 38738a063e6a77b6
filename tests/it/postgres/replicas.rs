//! Many replicas of the service on one database.

use customers_api::{
    model::SortDirection,
    store::{Access, Condition, DeleteOutcome, PutOutcome, Store},
};
use futures_util::future::join_all;

use super::{account, id, ids, open, put};
use crate::postgres_cluster::{blank_database, connect, database, execute};

#[actix_web::test]
async fn ten_replicas_start_at_once_on_an_empty_database() {
    let url = blank_database().await;
    let parsed = url.parse().unwrap();

    let stores = join_all((0..10).map(|_| Store::open(&parsed, Access::Create))).await;

    let stores: Vec<Store> = stores.into_iter().map(Result::unwrap).collect();
    let puts = stores
        .iter()
        .enumerate()
        .map(async |(number, store)| put(store, &format!("c-{number}"), Condition::Always).await.unwrap());
    assert!(join_all(puts).await.iter().all(|put| matches!(put, PutOutcome::Created(_))));
    assert_eq!(ids(&stores[0], SortDirection::Asc, 100).await.len(), 10);
    let secrets = join_all(stores.iter().enumerate().map(async |(number, store)| {
        store.secret("page-token", vec![u8::try_from(number).unwrap()]).await.unwrap()
    }));
    let secrets = secrets.await;
    assert!(secrets.iter().all(|secret| *secret == secrets[0]), "all replicas have the same secret");
    let runs = connect(&url).await.query("SELECT * FROM __diesel_schema_migrations", &[]).await.unwrap();
    assert_eq!(runs.len(), std::fs::read_dir("migrations/postgres").unwrap().count());
}

/// Each replica goes over the same customers in an order of its own, with every kind of write.
async fn write_the_same_rows(stores: &[Store]) {
    const CUSTOMERS: usize = 40;
    const ROUNDS: usize = 15;
    let replicas = stores.iter().enumerate().map(async |(replica, store)| {
        for round in 0..ROUNDS {
            let writes = (0..CUSTOMERS).map(async |step| {
                let number = (step * [7, 11, 13, 17][replica % 4] + round) % CUSTOMERS;
                let customer_id = format!("c-{number}");
                match (replica + number + round) % 5 {
                    0 => put(store, &customer_id, Condition::Present).await.map(drop),
                    1 => put(store, &customer_id, Condition::Absent).await.map(drop),
                    2 => store.delete(&account(), id(&customer_id), None, None).await.map(drop),
                    _ => put(store, &customer_id, Condition::Always).await.map(drop),
                }
            });
            for outcome in join_all(writes).await {
                outcome.unwrap();
            }
        }
    });
    join_all(replicas).await;
}

#[actix_web::test]
async fn replicas_that_write_the_same_rows_neither_deadlock_nor_fail() {
    let url = database().await;
    let stores = join_all((0..4).map(|_| open(&url))).await;

    write_the_same_rows(&stores).await;

    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = connect(&url).await.query_one(deadlocks, &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
}

#[actix_web::test]
async fn serialization_failures_are_tried_again() {
    let url = database().await;
    let name = url.rsplit('/').next().unwrap();
    execute(&url, &format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")).await;
    let stores = join_all((0..2).map(|_| open(&url))).await;

    write_the_same_rows(&stores).await;
}

#[actix_web::test]
async fn of_many_replicas_that_create_the_same_customer_one_does() {
    let url = database().await;
    let stores = join_all((0..4).map(|_| open(&url))).await;
    for condition in [Condition::Always, Condition::Absent] {
        let puts = join_all(stores.iter().map(|store| put(store, "c-1", condition.clone()))).await;
        let created = puts.iter().filter(|put| matches!(put, Ok(PutOutcome::Created(_)))).count();
        assert_eq!(created, 1, "{puts:?}");
        let deletes =
            join_all(stores.iter().map(async |store| store.delete(&account(), id("c-1"), None, None).await))
                .await;
        let deleted = deletes.iter().filter(|delete| matches!(delete, Ok(DeleteOutcome::Deleted))).count();
        assert_eq!(deleted, 1, "{deletes:?}");
    }
}
