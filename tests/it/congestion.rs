//! A store whose writes cannot be made, or not fast enough: the same suite on each engine.

use std::{cell::Cell, future::Future, pin::Pin};

use customers_api::{
    account::Account,
    model::{SortDirection, Timestamp},
    signature::Algorithm,
    store::{Condition, NewVersion, PutOutcome, Record, Store, StoreError},
};
use futures_util::{
    FutureExt as _,
    future::{join, join_all},
};
use serde_json::json;
use tokio::select;

use crate::support::{Engine, Signer, TestApi, eventually, mia, on_each_engine, token_for};

fn account(name: &str) -> Account {
    name.parse().unwrap()
}

async fn put(store: &Store, account_name: &str, customer_id: &str) -> Result<PutOutcome, StoreError> {
    let record = Record { bytes: b"{}".to_vec(), sealed_by: None };
    let (account, id) = (account(account_name), customer_id.parse().unwrap());
    store.put(&account, id, NewVersion::of(None), record, Condition::Always).await
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

/// Sends writes without waiting for them. Gives those that wait, and how many were refused.
fn send<'a>(store: &'a Store, account_name: &'static str, count: usize) -> (Vec<Waiting<'a>>, usize) {
    let mut refused = 0;
    let mut waiting = Vec::new();
    for number in 0..count {
        let mut write: Waiting<'a> =
            Box::pin(async move { put(store, account_name, &format!("c-{number}")).await });
        match write.as_mut().now_or_never() {
            None => waiting.push(write),
            Some(Err(StoreError::Busy)) => refused += 1,
            Some(outcome) => panic!("{outcome:?}"),
        }
    }
    (waiting, refused)
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<PutOutcome, StoreError>> + 'a>>;

/// When the customers of an account were created.
async fn created(store: &Store, account_name: &str) -> Vec<Timestamp> {
    let (mut created, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&account(account_name), SortDirection::Asc, after, 1000).await.unwrap();
        created.extend(page.customers.iter().map(|customer| customer.created));
        after = page.next;
        if after.is_none() {
            return created;
        }
    }
}

async fn an_account_that_fills_the_queue_holds_up_itself_alone(engine: Engine) {
    const FLOOD: usize = 4000;
    const FEW: usize = 20;
    let database = engine.database().await;
    let store = database.open().await;
    let lock = database.lock().await;

    let (flood, refused) = send(&store, "flood", FLOOD);
    assert!(refused > 0, "the queue is bounded");
    let (few, refused) = send(&store, "few", FEW);
    assert_eq!(refused, 0, "there is room for others");
    lock.release().await;
    let (flood, few) = join(join_all(flood), join_all(few)).await;

    assert!(few.iter().all(|outcome| matches!(outcome, Ok(PutOutcome::Created(_)))), "{few:?}");
    let gave_way = flood.iter().filter(|outcome| matches!(outcome, Err(StoreError::Busy))).count();
    let created_first = flood.iter().filter(|outcome| matches!(outcome, Ok(PutOutcome::Created(_)))).count();
    assert_eq!(created_first + gave_way, flood.len(), "every caller is told what became of its write");
    let last = created(&store, "few").await.into_iter().max().unwrap();
    let earlier = created(&store, "flood").await.into_iter().filter(|created| *created < last).count();
    // Another lane may be ahead, but this account's is not behind all that wait in its own.
    assert!(earlier <= flood.len() * 3 / 4, "{earlier} of {} came first", flood.len());
}

/// A GET as it goes over a connection.
fn get(signer: &Signer, target: &str) -> String {
    let token = token_for(signer, "GET", target, b"");
    format!("GET {target} HTTP/1.1\r\nHost: test\r\nApi-Signature: {token}\r\n\r\n")
}

async fn lists_of_an_account_that_wait_do_not_hold_up_a_get_of_another(engine: Engine) {
    const READERS: usize = 30;
    let api = TestApi::start(engine).await;
    let other = api.register("other", Algorithm::Es384, "other-1").await;
    let mut large = mia();
    large["Identities"] =
        vec![json!({ "IssuingCountry": "US", "IDNumber": "X", "IDType": "TaxID" }); 20].into();
    for number in 0..50 {
        api.put(&format!("c-{number}"), &large).send().await.expect(201);
    }
    api.put("c-0", &mia()).signed_by(&other).send().await.expect(201);

    let (list, lists) = (get(&api.signer, "/customers?PageSize=50"), Cell::new(0));
    let readers = join_all((0..READERS).map(async |_| {
        let mut connection = api.connect().await;
        loop {
            connection.send(&list).await;
            assert_eq!(connection.answer().await.status, 200);
            lists.set(lists.get() + 1);
        }
    }));
    // How many lists are answered while one GET is.
    let gets = async {
        let (get, mut connection) = (get(&other, "/customers/c-0"), api.connect().await);
        eventually("lists are read without a pause", || async { lists.get() > READERS }).await;
        let mut answered_first = Vec::new();
        for _ in 0..20 {
            let before = lists.get();
            connection.send(&get).await;
            assert_eq!(connection.answer().await.status, 200);
            answered_first.push(lists.get() - before);
        }
        answered_first
    };
    let answered_first = select! {
        answered_first = gets => answered_first,
        _ = readers => unreachable!("they read for ever"),
    };
    // Behind the lists that wait, all of them would come first, each time.
    assert!(answered_first.iter().min() < Some(&(READERS / 2)), "{answered_first:?}");
}

on_each_engine! {
    lists_of_an_account_that_wait_do_not_hold_up_a_get_of_another,
    an_account_that_fills_the_queue_holds_up_itself_alone,
    a_store_that_commits_no_write_is_not_ready_until_it_can,
}
