//! The subcommands, as an operator runs them.

use super::{
    hook::{Hook, Reply},
    processes::Fleet,
};
use crate::support::{Engine, command, eventually, on_each_engine};

on_each_engine! {
    what_is_not_a_good_endpoint_is_refused,
    an_account_has_16_endpoints_at_most,
    a_list_says_how_far_each_endpoint_is,
    a_test_sends_the_newest_event_once_more,
    an_endpoint_is_paused_resumed_replayed_and_removed,
    secrets_rotate,
    secrets_are_sealed_anew_with_the_records,
    a_service_without_the_seal_key_does_not_start,
}

async fn what_is_not_a_good_endpoint_is_refused(engine: Engine) {
    let fleet = Fleet::start(engine.database().await, 0).await;
    let keys = fleet.keys();
    let add = |url: &str, more: &[&str]| {
        let add = ["webhooks", "add", "--account", "acme", "--url", url, "--seal-keys", &keys];
        fleet.run(&[&add[..], more].concat())
    };
    let long = format!("https://example.com/{}", "a".repeat(2_048));
    for (url, reason) in [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("https://user@example.com/", "user"),
        ("https://:secret@example.com/", "user"),
        ("https://example.com/#a", "fragment"),
        ("https://10.0.0.1/", "not public"),
        ("https://127.1/", "not public"),
        ("https://0x7f.1/", "not public"),
        ("https://１２７.0.0.1/", "not public"),
        ("https://[::ffff:127.0.0.1]/", "not public"),
        ("https://[64:ff9b::a00:1]/", "not public"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://", "host"),
        ("example.com", "valid URL"),
        (&long, "2,048"),
    ] {
        let (code, said, why) = add(url, &[]);
        assert_eq!((code, said.as_str()), (2, ""), "{url}: {why}");
        assert!(why.contains(reason), "{url}: {why}");
    }
    let (code, _, why) = add("https://example.com/", &["--types", "CustomerCreated,CustomerEaten"]);
    assert_eq!(code, 2);
    assert!(why.contains("CustomerEaten"), "{why}");
    let (code, _, why) = add("https://localhost/", &[]);
    assert_eq!(code, 1, "a name of a private address");
    assert!(why.contains("not public"), "{why}");
    let (code, _, why) = add("https://localhost/", &["--webhook-allow", "localhost:443"]);
    assert_eq!(code, 2, "{why}");
    let (code, _, why) =
        fleet.run(&["webhooks", "add", "--account", "acme", "--url", "https://203.0.114.1/"]);
    assert_eq!(code, 1, "without seal keys");
    assert!(why.contains("--seal-keys"), "{why}");
    assert_eq!(fleet.database.count("webhooks").await, 0, "nothing was added");

    let (code, said, why) = add("https://name.invalid/hook", &[]);
    assert_eq!(code, 0, "{why}");
    assert!(why.starts_with("note: ") && why.contains("does not resolve"), "{why}");
    let (id, secret) = said.trim_end().split_once(' ').unwrap();
    assert!(id.len() == 32 && secret.starts_with("whsec_"), "{said}");

    for subcommand in ["test", "rotate-secret", "pause", "resume", "replay", "remove"] {
        let more: &[&str] = if subcommand == "replay" { &["--from", "1"] } else { &[] };
        let (code, said, why) = fleet.run(&[&["webhooks", subcommand, "0000"], more].concat());
        assert_eq!((code, said.as_str()), (1, ""), "{subcommand}: {why}");
        assert!(why.contains("no endpoint"), "{subcommand}: {why}");
    }
    for from in ["", "-1", "2026-01-31", "99999999999999999999"] {
        let from = format!("--from={from}");
        assert_eq!(fleet.run(&["webhooks", "replay", id, &from]).0, 2, "{from}");
    }
}

async fn an_account_has_16_endpoints_at_most(engine: Engine) {
    let (fleet, hook) = (Fleet::start(engine.database().await, 0).await, Hook::start().await);
    for _ in 0..16 {
        fleet.add(&hook);
    }
    let keys = fleet.keys();
    let add = |account: &str| {
        let add = ["webhooks", "add", "--account", account, "--url", &hook.url, "--seal-keys", &keys];
        fleet.run(&[&add[..], &["--webhook-allow", "127.0.0.1"]].concat())
    };
    let (code, _, why) = add("sandbox");
    assert_eq!(code, 1);
    assert!(why.contains("16 endpoints"), "{why}");
    assert_eq!(add("other").0, 0, "another account has its own");
}

/// The cells of the only endpoint in the list.
fn listed(fleet: &Fleet) -> Vec<String> {
    let (code, said, why) = fleet.run(&["webhooks", "list"]);
    assert_eq!(code, 0, "{why}");
    assert!(!said.contains("whsec_"), "no part of a secret");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(cells(lines[0]).len(), cells(lines[1]).len(), "{said}");
    cells(lines[1])
}

async fn a_list_says_how_far_each_endpoint_is(engine: Engine) {
    let fleet = Fleet::start(engine.database().await, 1).await;
    let hook = Hook::deciding(|one| Reply::Status(if one.customer() == "c-bad" { 500 } else { 204 })).await;
    let (id, _) = fleet.add(&hook);
    let url = hook.url.as_str();
    assert_eq!(listed(&fleet), [&id, "sandbox", "active", "all", "0", "0", "0", "-", "-", url]);
    for customer in ["c-1", "c-bad", "c-2", "c-bad"] {
        fleet.put(customer).await;
    }
    eventually("three are behind it, two of them held back", async || {
        let cells = listed(&fleet);
        cells[4..7] == ["4", "2", "1"] && cells[8] == "500" && cells[7].ends_with('Z')
    })
    .await;
}

async fn a_test_sends_the_newest_event_once_more(engine: Engine) {
    let (fleet, hook) = (Fleet::start(engine.database().await, 1).await, Hook::start().await);
    let (id, secret) = fleet.add(&hook);
    let keys = fleet.keys();
    let test = || fleet.run(&["webhooks", "test", &id, "--seal-keys", &keys, "--webhook-allow", "127.0.0.1"]);
    let run = async || {
        // The receiver needs this thread.
        let arguments = ["webhooks", "test", &id, "--seal-keys", &keys, "--webhook-allow", "127.0.0.1"];
        let mut command = command();
        command.args(arguments).args(["--database-url", &fleet.database.url]);
        let output = actix_web::rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, _, why) = test();
    assert_eq!(code, 1);
    assert!(why.contains("no event"), "{why}");
    fleet.put("c-1").await;
    fleet.put("c-2").await;
    fleet.settled(&id).await;
    let (code, said) = run().await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("204 in ") && said.ends_with(" ms\n"), "{said}");
    let deliveries = hook.deliveries();
    let [.., before, again] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert_eq!((&before.id, &before.body), (&again.id, &again.body), "the same event");
    let secret: customers_api::webhooks::Secret = secret.parse().unwrap();
    assert_eq!(again.signature, secret.sign(&again.id, again.timestamp, again.body.as_bytes()));
    hook.decide(|_| Reply::Status(500));
    let (code, said) = run().await;
    assert_eq!(code, 1);
    assert!(said.starts_with("500 after "), "{said}");
    assert_eq!(fleet.webhook().await.progress.failures, 0, "a test moves nothing");
}

async fn an_endpoint_is_paused_resumed_replayed_and_removed(engine: Engine) {
    let (fleet, hook) = (Fleet::start(engine.database().await, 1).await, Hook::start().await);
    let (id, _) = fleet.add(&hook);
    for customer in ["c-1", "c-2", "c-1"] {
        fleet.put(customer).await;
    }
    fleet.settled(&id).await;
    let run = |arguments: &[&str]| fleet.run(&[&["webhooks"], arguments].concat());
    assert_eq!(run(&["pause", &id]).0, 0);
    assert_eq!(run(&["pause", &id]).0, 1, "it is paused already");
    assert_eq!(listed(&fleet)[2], "paused: operator");
    assert_eq!(run(&["resume", &id]).0, 0);
    for (from, code) in [("0", 1), ("4", 1), ("2100-01-01T00:00:00Z", 1), ("2", 0)] {
        let (exit, said, why) = run(&["replay", &id, "--from", from]);
        assert_eq!(exit, code, "{from}: {said}{why}");
    }
    eventually("two come again", async || hook.deliveries().len() == 5).await;
    assert_eq!(run(&["replay", &id, "--from", "1970-01-01T00:00:00Z"]).0, 0);
    eventually("all come again", async || hook.deliveries().len() == 8).await;
    let feed = fleet.settled(&id).await;
    assert_eq!(hook.assert_complete_and_in_order(&feed), 5);
    assert_eq!(run(&["remove", &id]).0, 0);
    assert_eq!(fleet.database.count("webhook_secrets").await, 0);
    assert_eq!(run(&["remove", &id]).0, 1);
}

async fn secrets_rotate(engine: Engine) {
    let (fleet, hook) = (Fleet::start(engine.database().await, 0).await, Hook::start().await);
    let (id, _) = fleet.add(&hook);
    let keys = fleet.keys();
    let rotate = |more: &[&str]| {
        let rotate = ["webhooks", "rotate-secret", &id, "--seal-keys", &keys];
        let (code, said, why) = fleet.run(&[&rotate[..], more].concat());
        assert_eq!(code, 0, "{why}");
        assert!(said.starts_with("whsec_") && said.lines().count() == 1, "{said}");
        said
    };
    assert_ne!(rotate(&[]), rotate(&[]));
    assert_eq!(fleet.database.count("webhook_secrets").await, 3);
    rotate(&[]);
    rotate(&[]);
    assert_eq!(fleet.database.count("webhook_secrets").await, 4, "no more sign at the same time");
    assert_eq!(fleet.database.count("webhook_secrets WHERE expires_at IS NULL").await, 1);
    rotate(&["--now"]);
    assert_eq!(fleet.database.count("webhook_secrets").await, 1);
}

async fn secrets_are_sealed_anew_with_the_records(engine: Engine) {
    let (fleet, hook) = (Fleet::start(engine.database().await, 0).await, Hook::start().await);
    let (id, _) = fleet.add(&hook);
    let status = || fleet.run(&["seal", "status"]).1.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(status(), "KEY RECORDS WEBHOOK SECRETS k1 0 1");
    let keys = fleet.keys();
    let old = std::fs::read_to_string(&keys).unwrap();
    let new = customers_api::record::generate_key_line("k2");
    std::fs::write(&keys, format!("{}\n{old}", *new)).unwrap();
    let (code, said, why) = fleet.run(&["seal", "apply", "--seal-keys", &keys]);
    assert_eq!(code, 0, "{said}{why}");
    assert_eq!(status(), "KEY RECORDS WEBHOOK SECRETS k2 0 1");
    std::fs::write(&keys, &*new).unwrap();
    let (code, _, why) = fleet.run(&["webhooks", "rotate-secret", &id, "--seal-keys", &keys]);
    assert_eq!(code, 0, "the old key is not needed any more: {why}");
}

async fn a_service_without_the_seal_key_does_not_start(engine: Engine) {
    let (fleet, hook) = (Fleet::start(engine.database().await, 0).await, Hook::start().await);
    fleet.add(&hook);
    let (code, _, why) = fleet.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(why.contains("k1"), "{why}");
}
