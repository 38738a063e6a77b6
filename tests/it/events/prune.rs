//! Old events are pruned, from one end.

use std::{
    fs,
    path::{Path, PathBuf},
};

use customers_api::clock;

use super::{all, list, members, page, run};
use crate::support::{Engine, Service, TestApi, eventually, mia, on_each_engine};

/// What the service has noted of the oldest events is no longer so.
const LOOK_AGAIN: &str = "UPDATE feed_heads SET oldest_at = NULL";

/// Makes the events up to this position so many days old.
async fn age(api: &TestApi, position: usize, days: i64) {
    let micros = days * 24 * 60 * 60 * 1_000_000;
    let age = format!("UPDATE events SET occurred_at = occurred_at - {micros} WHERE position <= {position}");
    api.database.execute(&age).await;
    api.database.execute(LOOK_AGAIN).await;
}

async fn what_is_older_is_pruned_by_position_up_to_the_first_young_event(engine: Engine) {
    let api = TestApi::start(engine).await;
    for number in 0..6 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
    }
    let (events, _) = all(&api, 100).await;
    age(&api, 4, 3).await;
    // A clock was set back and forth: the third is young.
    api.database
        .execute("UPDATE events SET occurred_at = occurred_at + 200000000000 WHERE position = 3")
        .await;
    let second = page(&list(&api, "?PageSize=2").await.expect(200)).1;
    let first = page(&list(&api, "?PageSize=1").await.expect(200)).1;
    api.store.prune_events(2).await.unwrap();
    let (kept, _) = all(&api, 100).await;
    assert_eq!(members(&kept, "CustomerID"), members(&events[2..], "CustomerID"));
    let (after, _) = page(&list(&api, &format!("?PageToken={second}")).await.expect(200));
    assert_eq!(after, kept, "its own event was pruned, but nothing after it");
    list(&api, &format!("?PageToken={first}")).await.expect(410);
    api.request("GET", "/customers/c-0/events").send().await.expect(200);
    assert_eq!(run(&api.database, &["verify"]).0, 0, "what was pruned is not missing");
}

async fn a_feed_that_was_pruned_whole_goes_on(engine: Engine) {
    let api = TestApi::start(engine).await;
    let empty = page(&list(&api, "").await.expect(200)).1;
    for number in 0..3 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
    }
    let (_, last) = all(&api, 100).await;
    age(&api, 3, 2).await;
    // The event says when it happened, and so does the token.
    let (_, aged) = page(&list(&api, "?From=Newest").await.expect(200));
    api.store.prune_events(1).await.unwrap();
    list(&api, &format!("?PageToken={empty}")).await.expect(410);
    list(&api, &format!("?PageToken={last}")).await.expect(410);
    for start in [format!("?PageToken={aged}"), "?From=Newest".to_owned(), "?From=Oldest".to_owned()] {
        assert_eq!(page(&list(&api, &start).await.expect(200)), (Vec::new(), aged.clone()), "{start}");
    }
    api.put("c-4", &mia()).send().await.expect(201);
    api.store.number_events().await.unwrap();
    let (events, _) = page(&list(&api, &format!("?PageToken={aged}")).await.expect(200));
    assert_eq!(members(&events, "CustomerID"), ["c-4"]);
    assert_eq!(run(&api.database, &["verify"]).0, 0);
}

async fn many_events_of_several_accounts_are_pruned_in_steps(engine: Engine) {
    let api = TestApi::start(engine).await;
    let value = match engine {
        Engine::Sqlite => {
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
             INSERT INTO events SELECT a, i, 'c', zeroblob(16), 2, i, NULL, NULL FROM n, \
             (SELECT 'acme' AS a UNION SELECT 'other')"
        }
        Engine::Postgres => {
            "INSERT INTO events SELECT a, i, 'c', decode(repeat('00', 16), 'hex'), 2, i, NULL, NULL \
             FROM generate_series(1, 2500) AS i, unnest(ARRAY['acme', 'other']) AS a"
        }
    };
    api.database.execute(value).await;
    api.database
        .execute(
            "INSERT INTO feed_heads (account, newest, pruned) VALUES ('acme', 2500, 0), ('other', 2500, 0)",
        )
        .await;
    api.store.prune_events(1).await.unwrap();
    assert_eq!(api.database.count("events").await, 0);
    assert_eq!(api.database.count("feed_heads WHERE pruned = 2500 AND pruned_at = 2500").await, 2);
}

async fn of_many_accounts_those_are_pruned_that_have_old_events(engine: Engine) {
    let api = TestApi::start(engine).await;
    let (numbers, id) = match engine {
        Engine::Sqlite => {
            let numbers = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1200)";
            (numbers, "zeroblob(16)")
        }
        Engine::Postgres => {
            ("WITH n (i) AS (SELECT generate_series(1, 1200))", "decode(repeat('00', 16), 'hex')")
        }
    };
    let young = clock::now().timestamp_micros();
    for old in ["i % 100 < 2", "i % 100 = 50"] {
        let occurred = format!("CASE WHEN {old} THEN 1 ELSE {young} END");
        let event = format!("'{old}' || i, 1, 'c', {id}, 1, {occurred}, NULL, NULL");
        for insert in [
            format!("INSERT INTO events {numbers} SELECT {event} FROM n"),
            format!(
                "INSERT INTO feed_heads (account, newest, pruned) {numbers} SELECT '{old}' || i, 1, 0 FROM n"
            ),
        ] {
            api.database.execute(&insert).await;
        }
        // At the second time, the accounts of the first are known.
        api.store.prune_events(1).await.unwrap();
        assert_eq!(api.database.count("events WHERE occurred_at = 1").await, 0);
    }
    assert_eq!(api.database.count("feed_heads WHERE pruned = 1").await, 24 + 12);
    assert_eq!(api.database.count("events").await, 2400 - 36);
    assert_eq!(api.database.count("feed_heads WHERE oldest_at IS NULL").await, 36, "the others are known");
}

async fn an_account_whose_events_were_all_pruned_is_pruned_again(engine: Engine) {
    let api = TestApi::start(engine).await;
    for customer in ["c-1", "c-2"] {
        api.put(customer, &mia()).send().await.expect(201);
        api.store.number_events().await.unwrap();
        api.store.prune_events(1).await.unwrap();
        assert_eq!(api.database.count("events").await, 1, "it is young");
        age(&api, 9, 2).await;
        api.store.prune_events(1).await.unwrap();
        assert_eq!(api.database.count("events").await, 0);
    }
}

on_each_engine! {
    what_is_older_is_pruned_by_position_up_to_the_first_young_event,
    a_feed_that_was_pruned_whole_goes_on,
    many_events_of_several_accounts_are_pruned_in_steps,
    of_many_accounts_those_are_pruned_that_have_old_events,
    an_account_whose_events_were_all_pruned_is_pruned_again,
}

/// Whether any file of a database holds a text.
fn holds(file: &Path, text: &str) -> bool {
    let files = ["", "-wal"].map(|suffix| PathBuf::from(format!("{}{suffix}", file.display())));
    let bytes = files.map(|file| fs::read(file).unwrap_or_default()).concat();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[actix_web::test]
async fn pruned_events_leave_the_files_of_a_running_service_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("customers.db");
    let url = format!("sqlite:{}", file.display());
    let service = Service::start(&url, &folder.path().join("log"), &["--sandbox", "--events-days", "1"]);
    let client = crate::support::Client::new();
    let id = "an-id-that-nobody-else-has";
    let customer = format!("http://{}/customers/{id}", service.address);
    assert_eq!(client.put(&customer).json(mia().to_string()).status().await, 201);
    assert_eq!(client.delete(&customer).status().await, 204);
    let database = crate::support::Database::at(url);
    assert!(holds(&file, id), "its events are kept");
    assert!(!holds(&file, "Musterstrasse") || database.count("events").await == 2);
    database.execute("UPDATE events SET occurred_at = occurred_at - 90000000000").await;
    database.execute(LOOK_AGAIN).await;
    eventually("they are pruned", async || database.count("events").await == 0).await;
    let store = database.open().await;
    store.erase().await.unwrap();
    assert!(!holds(&file, id), "and gone from the files");
}
