//! The events of a request, and the pages that they stand on.

use futures_util::future::join_all;
use serde_json::json;

use super::{all, list, members, page, tag};
use crate::support::{Engine, TestApi, full, mia, on_each_engine, token_for};

async fn each_change_has_one_event_and_nothing_else_has(engine: Engine) {
    let api = TestApi::start(engine).await;
    let token = token_for(&api.signer, "PUT", "/customers/c-1", mia().to_string().as_bytes());
    let created = api.put("c-1", &mia()).token(&token).send().await.expect(201);
    api.put("c-1", &mia()).token(&token).send().await.expect(201);
    api.put("c-1", &mia()).header("if-none-match", "*").send().await.expect(412);
    let updated = api.put("c-1", &full()).send().await.expect(204);
    api.delete("c-1").header("if-match", "\"a\"").send().await.expect(412);
    let token = token_for(&api.signer, "DELETE", "/customers/c-1", b"");
    api.delete("c-1").token(&token).send().await.expect(204);
    api.delete("c-1").token(&token).send().await.expect(204);
    api.delete("c-1").send().await.expect(404);
    let again = api.put("c-1", &mia()).send().await.expect(201);

    let (events, _) = all(&api, 100).await;
    let types = ["CustomerCreated", "CustomerUpdated", "CustomerDeleted", "CustomerCreated"];
    assert_eq!(members(&events, "EventType"), types);
    let (first, second, third) = (tag(&created), tag(&updated), tag(&again));
    assert_eq!(members(&events, "Version"), [&first, &second, "-", &third]);
    assert_eq!(members(&events, "Previous"), ["-", &first, &second, "-"]);
    assert_eq!(members(&events, "KeyID"), ["acme-1"; 4]);
    assert_eq!(members(&events, "CustomerID"), ["c-1"; 4]);
    assert_eq!(events[0]["EventID"], first, "a caller knows its own writes");
    let occurred = members(&events, "Occurred");
    assert!(occurred.is_sorted(), "one clock: {occurred:?}");
}

async fn an_unsigned_request_has_an_event_without_a_key(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    api.put("c-1", &mia()).unsigned().send().await.expect(201);
    api.delete("c-1").unsigned().send().await.expect(204);
    api.store.number_events().await.unwrap();
    let events = api.request("GET", "/events").unsigned().send().await.expect(200).json();
    assert_eq!(members(events["Items"].as_array().unwrap(), "KeyID"), ["-", "-"]);
    assert_eq!(list(&api, "").await.expect(200).json()["Items"], json!([]), "they belong to the sandbox");
}

async fn pages_of_any_size_yield_the_same_events(engine: Engine) {
    let api = TestApi::start(engine).await;
    let ids: Vec<_> = (0..25).map(|number| format!("c-{number}")).collect();
    join_all(ids.iter().map(|id| api.put(id, &mia()).send())).await;
    let (events, last) = all(&api, 100).await;
    assert_eq!(events.len(), 25);
    for size in [1, 2, 7, 25] {
        assert_eq!(all(&api, size).await, (events.clone(), last.clone()), "{size}");
    }
    let (default, _) = page(&list(&api, "").await.expect(200));
    assert_eq!(default, events[..20], "20 by default, from the oldest");
    let (newest, token) = page(&list(&api, "?From=Newest").await.expect(200));
    assert_eq!((newest, token), (Vec::new(), last));
}

async fn accounts_have_feeds_of_their_own(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", customers_api::signature::Algorithm::Es256, "other-1").await;
    for number in 0..3 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
        api.put(&format!("o-{number}"), &mia()).signed_by(&other).send().await.expect(201);
    }
    let (events, _) = all(&api, 2).await;
    assert_eq!(members(&events, "CustomerID"), ["c-0", "c-1", "c-2"]);
    let events = api.request("GET", "/events").signed_by(&other).send().await.expect(200).json();
    assert_eq!(members(events["Items"].as_array().unwrap(), "CustomerID"), ["o-0", "o-1", "o-2"]);
}

async fn a_customer_has_its_own_events_from_the_oldest_on(engine: Engine) {
    let api = TestApi::start(engine).await;
    for id in ["c-1", "events", "a%2Fevents", "c-1", "c-1"] {
        assert!(api.put(id, &mia()).send().await.status.is_success());
    }
    api.delete("c-1").send().await.expect(204);
    api.store.number_events().await.unwrap();
    let of = async |path: &str| api.request("GET", path).send().await.expect(200).json();
    let whole = of("/customers/c-1/events").await;
    let events = whole["Items"].as_array().unwrap();
    let types = ["CustomerCreated", "CustomerUpdated", "CustomerUpdated", "CustomerDeleted"];
    assert_eq!(members(events, "EventType"), types);
    assert_eq!(whole.get("PageToken"), None, "there is no more");
    let first = of("/customers/c-1/events?PageSize=3").await;
    let token = first["PageToken"].as_str().unwrap();
    let second = of(&format!("/customers/c-1/events?PageSize=3&PageToken={token}")).await;
    assert_eq!(second["Items"].as_array().unwrap(), &events[3..]);
    assert_eq!(second.get("PageToken"), None);
    assert_eq!(of("/customers/nobody/events").await, json!({ "Items": [] }), "never 404");
    for (path, id) in [("/customers/events/events", "events"), ("/customers/a%2Fevents/events", "a/events")] {
        assert_eq!(members(of(path).await["Items"].as_array().unwrap(), "CustomerID"), [id], "{path}");
    }
    api.get("events").send().await.expect(200);
}

async fn the_writes_of_a_group_each_have_their_event(engine: Engine) {
    let api = TestApi::start(engine).await;
    // They are sent at once, so that the store writes each customer once for several of them.
    let writes = (0..120).map(async |number| {
        let id = format!("c-{}", number % 3);
        match number % 10 {
            9 => api.delete(&id).send().await,
            _ => api.put(&id, &mia()).send().await,
        }
    });
    let answers = join_all(writes).await;
    let changes = answers.iter().filter(|answer| answer.status == 201 || answer.status == 204).count();
    let (events, _) = all(&api, 100).await;
    assert_eq!(events.len(), changes);
    for id in ["c-0", "c-1", "c-2"] {
        let mut version = "-".to_owned();
        for event in events.iter().filter(|event| event["CustomerID"] == id) {
            assert_eq!(members(std::slice::from_ref(event), "Previous"), [&version]);
            members(std::slice::from_ref(event), "Version")[0].clone_into(&mut version);
        }
    }
}

on_each_engine! {
    each_change_has_one_event_and_nothing_else_has,
    an_unsigned_request_has_an_event_without_a_key,
    pages_of_any_size_yield_the_same_events,
    accounts_have_feeds_of_their_own,
    a_customer_has_its_own_events_from_the_oldest_on,
    the_writes_of_a_group_each_have_their_event,
}
