//! `customers-api events`, and what `verify` says of events.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use actix_web::rt::task::spawn_blocking;
use customers_api::signature::Algorithm;
use serde_json::Value;

use super::{all, run};
use crate::support::{Engine, TestApi, command, mia, on_each_engine};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn each_event_is_a_line_with_its_account_and_position(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", Algorithm::Es256, "other-1").await;
    api.put("c-1", &mia()).send().await.expect(201);
    api.put("o-1", &mia()).signed_by(&other).send().await.expect(201);
    api.delete("c-1").send().await.expect(204);
    let (events, _) = all(&api, 100).await;
    let (code, printed, said) = run(&api.database, &["events"]);
    assert_eq!((code, said.as_str()), (0, ""));
    let printed = lines(&printed);
    assert_eq!(printed.len(), 3);
    for (number, line) in printed.iter().filter(|line| line["Account"] == "acme").enumerate() {
        let mut event = line.clone();
        let members = event.as_object_mut().unwrap();
        assert_eq!(members.remove("Account").unwrap(), "acme");
        assert_eq!(members.remove("Position").unwrap(), number + 1);
        assert_eq!(event, events[number], "the event of the contract");
    }
    let of = |arguments: &[&str]| lines(&run(&api.database, &[&["events"], arguments].concat()).1).len();
    assert_eq!(of(&["--account", "other"]), 1);
    assert_eq!(of(&["--account", "acme", "--customer", "c-1"]), 2);
    assert_eq!(of(&["--account", "acme", "--customer", "o-1"]), 0);
    let last = events[1]["Occurred"].as_str().unwrap();
    assert_eq!(of(&["--account", "acme", "--since", last]), 1);
    assert_eq!(of(&["--since", "2999-01-01T00:00:00Z"]), 0);
    for misuse in [&["--customer", "c-1"][..], &["--since", "yesterday"], &["--account", "a b"]] {
        assert_eq!(run(&api.database, &[&["events"], misuse].concat()).0, 2, "{misuse:?}");
    }
}

async fn who_follows_gets_new_events_until_a_signal(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-1", &mia()).send().await.expect(201);
    let mut child = command()
        .args(["events", "--follow", "--database-url", &api.database.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in ["c-1", "c-2", "c-3"] {
        if id != "c-1" {
            api.put(id, &mia()).send().await.expect(201);
        }
        let (line, rest) = spawn_blocking(move || (printed.next(), printed)).await.unwrap();
        printed = rest;
        assert_eq!(lines(&line.unwrap().unwrap())[0]["CustomerID"], id);
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

async fn who_follows_notices_that_nobody_reads_any_more(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut child = command()
        .args(["events", "--follow", "--database-url", &api.database.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = spawn_blocking(move || child.wait().unwrap());
    let ended = actix_web::rt::time::timeout(std::time::Duration::from_secs(30), ended).await;
    assert_eq!(ended.expect("it ends while idle").unwrap().code(), Some(0));
}

async fn verify_finds_what_does_not_fit(engine: Engine) {
    let faults: [(&str, &str); 6] = [
        ("DELETE FROM events WHERE position = 2", "acme: 1 of 5 events are missing"),
        (
            "UPDATE customers SET version = (SELECT event_id FROM events WHERE position = 1) WHERE customer_id = 'c-1'",
            "acme/c-1: its version is not that of its last event",
        ),
        (
            "DELETE FROM customers WHERE customer_id = 'c-2'",
            "acme/c-2: it is missing, although its last event is no delete",
        ),
        (
            "UPDATE customers SET customer_id = 'c-3' WHERE customer_id = 'c-2'",
            "acme/c-3: it is there, although its last event is a delete",
        ),
        (
            "UPDATE events SET event_type = 9 WHERE position = 3",
            "the event 3: the type of an event is not known",
        ),
        ("UPDATE events SET previous = NULL WHERE position = 2", ""),
    ];
    for (fault, found) in faults {
        let api = TestApi::start(engine).await;
        for (id, status) in [("c-1", 201), ("c-1", 204), ("c-2", 201), ("c-3", 201)] {
            api.put(id, &mia()).send().await.expect(status);
        }
        api.delete("c-3").send().await.expect(204);
        api.store.number_events().await.unwrap();
        let (code, said, why) = run(&api.database, &["verify"]);
        assert_eq!((code, said.as_str()), (0, "2 customers match the contract\n"), "{why}");
        api.database.execute(fault).await;
        let (code, said, why) = run(&api.database, &["verify"]);
        if found.is_empty() {
            assert_eq!(code, 0, "{fault}: an older version may have written in between: {said}{why}");
            assert!(why.contains("note: acme/c-1: the event 2 does not follow the one before"), "{why}");
        } else {
            assert_eq!(code, 1, "{fault}");
            assert!(said.contains(found), "{fault}: {said}");
        }
    }
}

on_each_engine! {
    each_event_is_a_line_with_its_account_and_position,
    who_follows_gets_new_events_until_a_signal,
    who_follows_notices_that_nobody_reads_any_more,
    verify_finds_what_does_not_fit,
}
