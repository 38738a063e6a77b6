//! A store whose writes cannot be made, or not fast enough: the same suite on each engine.

use customers_api::{
    account::Account,
    store::{Condition, PutOutcome, Record, Store, StoreError, Version},
};
use tokio::select;

use crate::support::{Engine, eventually, on_each_engine};

fn account(name: &str) -> Account {
    name.parse().unwrap()
}

async fn put(store: &Store, account_name: &str, customer_id: &str) -> Result<PutOutcome, StoreError> {
    let record = Record { bytes: b"{}".to_vec(), sealed_by: None };
    let (account, id) = (account(account_name), customer_id.parse().unwrap());
    store.put(&account, id, Version::new(), record, Condition::Always, None).await
}

async fn a_store_that_commits_no_write_is_not_ready_until_it_can(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    put(&store, "acme", "c-1").await.unwrap();
    let lock = database.lock().await;
    store.check().await.unwrap();

    let writes = async {
        loop {
            let error = put(&store, "acme", "c-1").await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
    };
    select! {
        () = writes => {}
        () = eventually("it is not ready", || async { store.check().await.is_err() }) => {}
    }
    let read = store.get(&account("acme"), &"c-1".parse().unwrap()).await;
    assert!(matches!(read, Ok(Some(_))), "reads go on: {read:?}");
    let error = store.check().await.unwrap_err();
    assert!(format!("{error:?}").contains("no write has been committed"), "without a write, too: {error:?}");

    lock.release().await;
    eventually("it is ready again, without a write", || async { store.check().await.is_ok() }).await;
    put(&store, "acme", "c-1").await.unwrap();
}

on_each_engine! {
    a_store_that_commits_no_write_is_not_ready_until_it_can,
}
