//! A primary that lives on after another host took its place, and a primary whose synchronous standby is gone.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use actix_web::rt::time::{sleep, timeout};
use customers_api::store::{Condition, PutOutcome, Store, StoreError};

use super::{account, id, open, put};
use crate::{
    postgres_cluster::{Cluster, execute},
    support::eventually,
};

/// How long reads may be answered from a host that cannot commit any more.
const STALE_MAX: Duration = Duration::from_secs(10);

/// The longest that a caller waits.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Whether a customer is there.
async fn has(store: &Store, customer_id: &str) -> Result<bool, StoreError> {
    Ok(store.get(&account(), &id(customer_id)).await?.is_some())
}

fn url_of(hosts: &[u16]) -> String {
    let hosts: Vec<String> = hosts.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://postgres@{}/postgres", hosts.join(","))
}

/// A service that was used on the old primary, and a service on the new one, which has written a newer customer.
async fn after_a_promotion() -> (Store, Store, [Cluster; 2]) {
    let (primary, mut standby) = Cluster::with_synchronous_standby().await;
    let store = open(&url_of(&[primary.port(), standby.port()])).await;
    put(&store, "before", Condition::Always).await.unwrap();
    assert!(has(&store, "before").await.unwrap());
    standby.promote();
    let other = open(&standby.url("postgres")).await;
    put(&other, "after", Condition::Always).await.unwrap();
    (store, other, [primary, standby])
}

/// Waits until reads come from the new primary.
async fn reads_the_newer_customer(store: &Store) {
    let began = Instant::now();
    while !matches!(has(store, "after").await, Ok(true)) {
        assert!(began.elapsed() < STALE_MAX, "reads still come from the old primary");
        sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_replica_that_only_reads_leaves_a_primary_that_cannot_commit() {
    let (store, other, _clusters) = after_a_promotion().await;

    reads_the_newer_customer(&store).await;

    store.check().await.unwrap();
    put(&store, "more", Condition::Absent).await.unwrap();
    assert!(has(&other, "more").await.unwrap(), "both use one host");
}

#[actix_web::test]
async fn a_replica_that_writes_leaves_a_primary_that_cannot_commit() {
    let (store, other, _clusters) = after_a_promotion().await;
    let began = Instant::now();
    let mut refused = 0;
    let outcome = loop {
        match put(&store, "before", Condition::Present).await {
            Ok(outcome) => break outcome,
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Busy), "{error:?}");
            }
        }
        refused += 1;
        assert!(
            began.elapsed() < STALE_MAX * 2,
            "writes still go to the old primary: {refused} were refused"
        );
    };

    let PutOutcome::Updated(version) = outcome else { panic!("{outcome:?}") };
    assert_eq!(other.get(&account(), &id("before")).await.unwrap().unwrap().version, version);
    reads_the_newer_customer(&store).await;
}

#[actix_web::test]
async fn without_its_synchronous_standby_a_primary_answers_nothing_until_it_commits_again() {
    let (primary, mut standby) = Cluster::with_synchronous_standby().await;
    let store = open(&primary.url("postgres")).await;
    put(&store, "c-1", Condition::Always).await.unwrap();
    store.check().await.unwrap();
    standby.hang();

    let began = Instant::now();
    while has(&store, "c-1").await.is_ok() {
        assert!(began.elapsed() < STALE_MAX, "it still answers");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    let refused = put(&store, "c-2", Condition::Always).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let read = has(&store, "c-1").await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");

    execute(&primary.url("postgres"), "ALTER SYSTEM RESET synchronous_standby_names").await;
    execute(&primary.url("postgres"), "SELECT pg_reload_conf()").await;
    eventually("it is ready again, without a write", || async { store.check().await.is_ok() }).await;
    assert!(has(&store, "c-1").await.unwrap());
    put(&store, "c-3", Condition::Always).await.unwrap();
    standby.wake();
}

#[actix_web::test]
async fn behind_two_silent_hosts_every_caller_is_answered_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut primary, mut standby) = Cluster::with_synchronous_standby().await;
    let ports = [primary.port(), silent.local_addr().unwrap().port(), standby.port()];
    let store = timeout(ANSWER_MAX, open(&url_of(&ports))).await.unwrap();
    put(&store, "c-1", Condition::Always).await.unwrap();
    primary.hang();
    standby.promote();

    let (mut writes, mut reads) = (None, None);
    let began = Instant::now();
    while writes.is_none() || reads.is_none() {
        assert!(began.elapsed() < ANSWER_MAX * 2, "it finds the third host: {writes:?}, {reads:?}");
        let both = async { tokio::join!(put(&store, "c-2", Condition::Always), has(&store, "c-1")) };
        let (written, read) = timeout(ANSWER_MAX, both).await.unwrap();
        (writes, reads) = (written.ok(), read.ok());
    }
    // From the silent hosts on, as at a start.
    let again = timeout(ANSWER_MAX, open(&url_of(&ports))).await.unwrap();
    let (written, read) = timeout(ANSWER_MAX, async {
        tokio::join!(put(&again, "c-3", Condition::Always), has(&again, "c-2"))
    })
    .await
    .unwrap();
    assert!(matches!(written, Ok(PutOutcome::Created(_))), "{written:?}");
    assert!(matches!(read, Ok(true)), "{read:?}");
    primary.wake();
}
