//! Events and used signatures move with the customers.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use actix_web::rt::task::spawn_blocking;
use serde_json::{Value, json};

use super::{all, list, members, page, run};
use crate::support::{Database, Engine, TestApi, command, full, mia, on_each_engine, token_for};

/// Reads lines into a database.
async fn import(database: &Database, lines: &str, arguments: &[&str]) -> Output {
    let mut command = command();
    command.arg("import").args(arguments).args(["--allow-incomplete", "--database-url", &database.url]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, lines) = (child.stdin.take().unwrap(), lines.to_owned());
    spawn_blocking(move || {
        let writer = std::thread::spawn(move || drop(stdin.write_all(lines.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    })
    .await
    .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn export(database: &Database) -> String {
    let (code, lines, why) = run(database, &["export"]);
    assert_eq!(code, 0, "{why}");
    lines
}

async fn who_follows_goes_on_after_a_move(engine: Engine) {
    let api = TestApi::start(engine).await;
    for (id, status) in [("c-1", 201), ("c-2", 201), ("c-1", 204), ("c-3", 201)] {
        api.put(id, &mia()).send().await.expect(status);
    }
    api.delete("c-3").send().await.expect(204);
    let (events, last) = all(&api, 100).await;
    let second = page(&list(&api, "?PageSize=2").await.expect(200)).1;
    let target = engine.other().database().await;
    let lines = export(&api.database);
    let output = import(&target, &lines, &[]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("; imported 5 events; 0 were there already"), "{}", said(&output));

    let moved = api.over(target.shared()).await;
    assert_eq!(
        all(&moved, 100).await,
        (events.clone(), last.clone()),
        "event for event, and the same tokens"
    );
    assert_eq!(page(&list(&moved, &format!("?PageToken={second}")).await.expect(200)).0, events[2..]);
    assert_eq!(run(&target, &["verify"]).0, 0);
    moved.put("c-1", &full()).send().await.expect(204);
    moved.store.number_events().await.unwrap();
    let (next, _) = page(&list(&moved, &format!("?PageToken={last}")).await.expect(200));
    assert_eq!(members(&next, "Previous"), [members(&events, "Version")[2]]);

    let again = import(&target, &lines, &[]).await;
    assert!(said(&again).contains("imported 0 events; 5 were there already"), "{}", said(&again));
}

async fn a_feed_that_was_pruned_moves_with_its_place(engine: Engine) {
    let api = TestApi::start(engine).await;
    for number in 0..3 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
    }
    all(&api, 100).await;
    api.database
        .execute("UPDATE events SET occurred_at = occurred_at - 200000000000 WHERE position < 3")
        .await;
    let second = page(&list(&api, "?PageSize=2").await.expect(200)).1;
    api.store.prune_events(1).await.unwrap();
    let target = engine.other().database().await;
    let output = import(&target, &export(&api.database), &[]).await;
    assert!(output.status.success(), "{}", said(&output));
    let moved = api.over(target.shared()).await;
    let (events, _) = page(&list(&moved, &format!("?PageToken={second}")).await.expect(200));
    assert_eq!(members(&events, "CustomerID"), ["c-2", "c-0", "c-1"]);
    assert_eq!(
        members(&events, "KeyID"),
        ["acme-1", "-", "-"],
        "those whose events are gone have one that was made up"
    );
    assert_eq!(run(&target, &["verify"]).0, 0);
}

async fn a_customer_that_comes_without_its_events_gets_one(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-1", &mia()).send().await.expect(201);
    api.put("c-2", &mia()).send().await.expect(201);
    let without = |lines: &str| -> String {
        lines
            .lines()
            .filter(|line| line.starts_with("{\"Customer\"") || line.starts_with("{\"Key\""))
            .flat_map(|line| [line, "\n"])
            .collect()
    };
    let lines = without(&export(&api.database));
    let target = engine.other().database().await;
    assert!(import(&target, &lines, &[]).await.status.success());
    let moved = api.over(target.shared()).await;
    let (events, _) = all(&moved, 100).await;
    assert_eq!(members(&events, "EventType"), ["CustomerCreated"; 2]);
    assert_eq!(members(&events, "KeyID"), ["-"; 2]);
    assert!(import(&target, &lines, &[]).await.status.success());
    assert_eq!(all(&moved, 100).await.0, events, "what is there already has no second event");

    api.put("c-1", &full()).send().await.expect(204);
    let output = import(&target, &without(&export(&api.database)), &["--replace"]).await;
    assert!(output.status.success(), "{}", said(&output));
    let (after, _) = all(&moved, 100).await;
    assert_eq!(after[..2], events[..]);
    assert_eq!(members(&after[2..], "EventType"), ["CustomerUpdated"]);
    assert_eq!(members(&after[2..], "CustomerID"), ["c-1"]);
    assert_eq!(run(&target, &["verify"]).0, 0);
}

async fn an_event_that_does_not_fit_is_refused(engine: Engine) {
    let database = engine.database().await;
    let event = |position: i64, id: char| {
        let id = id.to_string().repeat(32);
        json!({ "Event": {
            "Account": "acme", "Position": position, "EventID": id, "EventType": "CustomerCreated",
            "Occurred": "2026-01-31T12:00:00.000000Z", "CustomerID": "c-1", "Version": id
        } })
    };
    let lines = |lines: &[Value]| {
        lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect::<String>()
    };
    let output = import(&database, &lines(&[event(3, 'a'), event(4, 'b')]), &[]).await;
    assert!(output.status.success(), "a feed may begin late: {}", said(&output));
    for (line, why) in [
        (event(4, 'c'), "another event is at this position already"),
        (event(9, 'c'), "an event before this one is missing"),
        (event(0, 'c'), "Position is less than 1"),
    ] {
        for arguments in [&[][..], &["--replace"]] {
            let output = import(&database, &lines(std::slice::from_ref(&line)), arguments).await;
            assert_eq!(output.status.code(), Some(1));
            assert!(said(&output).contains(&format!("line 1: {why}")), "{}", said(&output));
        }
    }
    for (member, value) in [
        ("Version", json!("0".repeat(32))),
        ("Version", Value::Null),
        ("EventType", json!("Other")),
        ("Occurred", json!("2999-01-01T00:00:00Z")),
        ("CustomerID", json!("")),
        ("More", json!(1)),
    ] {
        let mut line = event(5, 'd');
        line["Event"][member] = value;
        assert_eq!(import(&database, &lines(&[line]), &[]).await.status.code(), Some(1), "{member}");
    }
    assert_eq!(database.count("events").await, 2);
}

async fn no_signature_carries_out_a_write_again_after_a_move(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let put = token_for(&api.signer, "PUT", "/customers/c-1", body.as_bytes());
    let other = token_for(&api.signer, "PUT", "/customers/c-2", body.as_bytes());
    let delete = token_for(&api.signer, "DELETE", "/customers/c-2", b"");
    let first = api.put("c-1", &mia()).token(&put).send().await.expect(201);
    api.put("c-2", &mia()).token(&other).send().await.expect(201);
    api.delete("c-2").token(&delete).send().await.expect(204);
    let target = engine.other().database().await;
    assert!(import(&target, &export(&api.database), &[]).await.status.success());
    let moved = api.over(target).await;
    moved.put("c-1", &full()).send().await.expect(204);
    let repeated = moved.put("c-1", &mia()).token(&put).send().await.expect(201);
    assert_eq!(repeated.header("etag"), first.header("etag"), "the first answer again");
    moved.put("c-2", &mia()).token(&other).send().await.expect(201);
    moved.delete("c-2").token(&delete).send().await.expect(204);
    moved.get("c-2").send().await.expect(404);
    assert_eq!(moved.get("c-1").send().await.expect(200).json()["FullName"], full()["FullName"]);
}

on_each_engine! {
    who_follows_goes_on_after_a_move,
    a_feed_that_was_pruned_moves_with_its_place,
    a_customer_that_comes_without_its_events_gets_one,
    an_event_that_does_not_fit_is_refused,
    no_signature_carries_out_a_write_again_after_a_move,
}
