//! How events get their positions on Postgres, where transactions become visible in another order than they begin.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use actix_web::rt::time::{sleep, timeout};
use customers_api::store::Exported;
use futures_util::future::join_all;

use super::{all, list, members, page};
use crate::{
    postgres_cluster::connect,
    support::{Engine, TestApi, eventually, mia},
};

/// An event as another replica leaves it.
const LEFT: &str = "INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at, previous, key_id) \
    VALUES ('{acme}', '{left}', ARRAY[decode('000102030405060708090a0b0c0d0e0f', 'hex')], '{1}', '{0}', '{NULL}', '{NULL}')";

#[actix_web::test]
async fn an_event_that_is_overtaken_is_not_missed() {
    let api = TestApi::start(Engine::Postgres).await;
    let slow = connect(&api.database.url).await;
    slow.batch_execute(&format!("BEGIN; {LEFT}")).await.unwrap();
    // They come later, and are visible earlier.
    for number in 0..3 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
    }
    let (events, token) = all(&api, 100).await;
    assert_eq!(members(&events, "CustomerID"), ["c-0", "c-1", "c-2"]);
    slow.batch_execute("COMMIT").await.unwrap();
    api.store.number_events().await.unwrap();
    let (more, _) = page(&list(&api, &format!("?PageToken={token}")).await.expect(200));
    assert_eq!(members(&more, "CustomerID"), ["left"], "whoever was further does not miss it");
    let (again, _) = all(&api, 100).await;
    assert_eq!(members(&again, "CustomerID"), ["c-0", "c-1", "c-2", "left"], "for everybody in this order");
}

#[actix_web::test]
async fn a_transaction_that_stalls_keeps_the_place_of_its_event_before_later_ones_of_the_customer() {
    let api = TestApi::start(Engine::Postgres).await;
    api.put("left", &mia()).send().await.expect(201);
    let stalled = connect(&api.database.url).await;
    let write = "UPDATE customers SET version = version WHERE customer_id = 'left'";
    stalled.batch_execute(&format!("BEGIN; {write}; {LEFT}")).await.unwrap();
    // Others go on, until each replica would have passed over what was numbered long ago.
    let (looks, mut seen) = (connect(&api.database.url).await, HashSet::new());
    let look = "SELECT max(state_change)::text FROM pg_stat_activity \
        WHERE query LIKE 'SELECT seq FROM outbox%' AND state = 'idle' AND datname = current_database()";
    let go_on = async {
        while seen.len() < 5 {
            let last: Option<String> = looks.query_one(look, &[]).await.unwrap().get(0);
            if last.is_some_and(|last| seen.insert(last)) {
                api.put(&format!("c-{}", seen.len()), &mia()).send().await.expect(201);
                api.store.number_events().await.unwrap();
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(120), go_on).await.expect("it looks for what is left");
    let waits =
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let commit = async {
        eventually("the later write waits", async || !looks.query(waits, &[]).await.unwrap().is_empty())
            .await;
        stalled.batch_execute("COMMIT").await.unwrap();
    };
    let (later, ()) = futures_util::join!(api.put("left", &mia()).send(), commit);
    later.expect(204);
    api.store.number_events().await.unwrap();
    let (events, _) = all(&api, 100).await;
    let of_customer: Vec<_> = events.into_iter().filter(|event| event["CustomerID"] == "left").collect();
    let types = members(&of_customer, "EventType");
    assert_eq!(
        types,
        ["CustomerCreated", "CustomerCreated", "CustomerUpdated"],
        "the second one is of who stalled"
    );
}

#[actix_web::test]
async fn what_a_dead_replica_left_is_numbered_by_the_next_one() {
    let api = TestApi::start(Engine::Postgres).await;
    api.database.execute(LEFT).await;
    eventually("it is numbered", async || api.database.count("outbox").await == 0).await;
    let (events, _) = all(&api, 100).await;
    assert_eq!(members(&events, "CustomerID"), ["left"]);
}

/// Two groups of two accounts.
const GROUPS: &str = "INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at, previous, key_id) \
    SELECT accounts, customers, array_fill('\\x000102030405060708090a0b0c0d0e0f'::bytea, ARRAY[3]), \
        ARRAY[1, 1, 1], ARRAY[0, 0, 0], ARRAY[NULL, NULL, NULL]::bytea[], ARRAY['k', NULL, NULL] \
    FROM (VALUES (ARRAY['acme', 'globex', 'acme'], ARRAY['a', 'b', 'c']), \
        (ARRAY['globex', 'acme', 'globex'], ARRAY['d', 'e', 'f'])) AS groups (accounts, customers)";

#[actix_web::test]
async fn an_export_has_what_is_not_numbered_yet_at_the_positions_that_it_gets() {
    let api = TestApi::start(Engine::Postgres).await;
    api.put("first", &mia()).send().await.expect(201);
    api.store.number_events().await.unwrap();
    // Whoever numbers cannot.
    let other = connect(&api.database.url).await;
    other.batch_execute("SELECT pg_advisory_lock(x'6576656e7473'::bigint)").await.unwrap();
    other.batch_execute(GROUPS).await.unwrap();
    let before = exported(&api).await;
    let events = [("acme", 1, "first"), ("acme", 2, "a"), ("acme", 3, "c"), ("acme", 4, "e")];
    let others = [("globex", 1, "b"), ("globex", 2, "d"), ("globex", 3, "f")];
    let event = |(account, position, id): (&str, i64, &str)| (account.to_owned(), position, id.to_owned());
    assert_eq!(before, events.into_iter().chain(others).map(event).collect::<Vec<_>>());
    other.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    api.store.number_events().await.unwrap();
    assert_eq!(exported(&api).await, before);
    assert_eq!(api.database.count("outbox").await, 0);
    assert_eq!(api.database.count("events WHERE key_id = 'k' AND customer_id IN ('a', 'd')").await, 2);
}

#[actix_web::test]
async fn what_has_no_position_yet_gets_it_after_the_migration_to_groups() {
    macro_rules! migration {
        ($file:literal) => {
            include_str!(concat!(
                "../../../migrations/postgres/2026-12-01-130000_leave_events_by_group/",
                $file
            ))
        };
    }
    let database = Engine::Postgres.database().await;
    let client = connect(&database.url).await;
    client.batch_execute(migration!("down.sql")).await.unwrap();
    for (account, id) in [("acme", "a"), ("globex", "b"), ("acme", "c")] {
        let insert = "INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at) VALUES ($1, $2, $3, 1, 0)";
        client.execute(insert, &[&account, &id, &[7_u8; 16].as_slice()]).await.unwrap();
    }
    client.batch_execute(migration!("up.sql")).await.unwrap();
    let api = TestApi::start(Engine::Sqlite).await.over(database).await;
    api.store.number_events().await.unwrap();
    let numbered = exported(&api).await;
    let numbered: Vec<_> =
        numbered.iter().map(|(account, at, id)| (account.as_str(), *at, id.as_str())).collect();
    assert_eq!(numbered, [("acme", 1, "a"), ("acme", 2, "c"), ("globex", 1, "b")]);
}

/// Account, position and customer of each event that an export has.
async fn exported(api: &TestApi) -> Vec<(String, i64, String)> {
    let mut export = api.store.export(None).await.unwrap();
    let mut events = Vec::new();
    while let Some(part) = export.next().await.unwrap() {
        if let Exported::Events(rows) = part {
            events.extend(rows.into_iter().map(|row| (row.account, row.position, row.customer_id)));
        }
    }
    events.sort();
    events
}

#[actix_web::test]
async fn a_transaction_of_a_stranger_delays_no_event() {
    let api = TestApi::start(Engine::Postgres).await;
    let stranger = connect(&api.database.url).await;
    stranger
        .batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(); SELECT count(*) FROM events",
        )
        .await
        .unwrap();
    let began = Instant::now();
    for round in 0..20 {
        let (_, token) = page(&list(&api, "?From=Newest").await.expect(200));
        let put = async {
            sleep(Duration::from_millis(5)).await;
            api.put(&format!("c-{round}"), &mia()).send().await
        };
        let query = format!("?PageToken={token}&Wait=10");
        let next = list(&api, &query);
        let (put, next) = futures_util::join!(put, next);
        put.expect(201);
        assert_eq!(members(&page(&next.expect(200)).0, "CustomerID"), [format!("c-{round}")]);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "nobody waited until its time was over");
    stranger.batch_execute("COMMIT").await.unwrap();
}

#[actix_web::test]
async fn replicas_that_number_at_once_give_each_position_once_and_keep_the_order_of_versions() {
    const CUSTOMERS: usize = 4;
    let api = TestApi::start(Engine::Postgres).await;
    let others = [api.replica().await, api.replica().await];
    let replicas = [&api, &others[0], &others[1]];
    for _ in 0..10 {
        let puts = (0..60).map(|number| {
            let replica = replicas[number % replicas.len()];
            async move { replica.put(&format!("c-{}", number % CUSTOMERS), &mia()).send().await }
        });
        for put in join_all(puts).await {
            assert!(put.status.is_success(), "{}", put.status);
        }
    }
    let (events, _) = all(&api, 100).await;
    assert_eq!(events.len(), 600);
    for number in 0..CUSTOMERS {
        let id = format!("c-{number}");
        let events: Vec<_> = events.iter().filter(|event| event["CustomerID"] == id).cloned().collect();
        let versions = members(&events, "Version");
        assert_eq!(members(&events, "Previous")[1..], versions[..versions.len() - 1], "{id}");
    }
    assert_eq!(api.database.count("events WHERE position BETWEEN 1 AND 600").await, 600);
    assert_eq!(api.database.count("outbox").await, 0);
}
