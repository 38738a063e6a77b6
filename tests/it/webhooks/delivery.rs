//! What a receiver gets: each event, signed, in the order of its customer, whatever fails.

use std::time::Duration;

use actix_web::rt::time::sleep;
use customers_api::{
    model::EventType,
    store::{EventTypes, WebhookState},
    webhooks::Secret,
};
use futures_util::future::join_all;

use super::{
    hook::{Happened, Hook, Reply},
    place::{Place, held, send},
};
use crate::support::{Dice, Engine, eventually, on_each_engine};

on_each_engine! {
    each_change_is_told_once_with_a_signature,
    only_the_types_that_are_asked_for_are_sent,
    events_from_before_are_not_sent,
    a_customer_that_fails_holds_back_nobody_else,
    each_event_is_acknowledged_in_order_whatever_the_receiver_does,
    a_receiver_that_asks_to_wait_gets_nothing_meanwhile,
    after_ten_failures_the_receiver_is_probed,
    a_receiver_that_is_gone_pauses_its_endpoint,
    a_paused_endpoint_gets_nothing_until_it_is_resumed,
    events_are_sent_again_from_where_a_replay_says,
    an_endpoint_whose_events_are_pruned_is_gone_until_a_replay,
    an_endpoint_that_was_removed_gets_nothing,
    another_secret_signs_as_well_while_it_rotates,
    what_is_under_way_at_a_stop_may_finish,
    what_does_not_finish_at_a_stop_is_sent_again,
}

/// Puts and deletes some customers, at the same time.
async fn change(place: &Place, customers: usize, changes: usize) {
    join_all((0..customers).map(async |customer| {
        let id = format!("c-{customer}");
        for change in 0..changes {
            if change % 5 == 4 {
                place.api.delete(&id).send().await.expect(204);
            } else {
                place.put(&id).await;
            }
        }
    }))
    .await;
}

async fn each_change_is_told_once_with_a_signature(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let (id, secret) = place.add(&hook, EventTypes::ALL).await;
    change(&place, 3, 5).await;
    place.settled(&id).await;

    let feed = place.feed().await;
    let deliveries = hook.deliveries();
    assert_eq!(deliveries.len(), feed.len(), "each event once");
    assert_eq!(hook.assert_complete_and_in_order(&feed), 0);
    for delivery in &deliveries {
        assert!(feed.contains(&delivery.event), "the body is the event as the feed has it");
        assert_eq!(delivery.id, delivery.event["EventID"].as_str().unwrap());
        let expected = secret.sign(&delivery.id, delivery.timestamp, delivery.body.as_bytes());
        assert_eq!(delivery.signature, expected);
    }
}

async fn only_the_types_that_are_asked_for_are_sent(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let types = [EventType::CustomerDeleted, EventType::CustomerCreated].into_iter().collect();
    let (id, _) = place.add(&hook, types).await;
    change(&place, 2, 7).await;
    place.settled(&id).await;
    let mut feed = place.feed().await;
    feed.retain(|event| event["EventType"] != "CustomerUpdated");
    hook.assert_complete_and_in_order(&feed);
    assert_eq!(hook.deliveries().len(), feed.len());
}

async fn events_from_before_are_not_sent(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    place.put("c-1").await;
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    place.put("c-2").await;
    place.settled(&id).await;
    let customers: Vec<_> = hook.deliveries().iter().map(|delivery| delivery.customer().to_owned()).collect();
    assert_eq!(customers, ["c-2"]);
}

async fn a_customer_that_fails_holds_back_nobody_else(engine: Engine) {
    let place = Place::start(engine).await;
    let hook = Hook::deciding(|delivery| match delivery.customer() {
        "c-0" => Reply::Status(500),
        "c-1" => Reply::Never,
        _ => Reply::Status(200),
    })
    .await;
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    change(&place, 6, 8).await;
    eventually("the others are acknowledged", async || hook.acknowledged() == 4 * 8).await;
    eventually("who fails has a row", async || {
        let held = held(&place.api.store, &place.webhook(&id).await).await;
        held.iter().any(|held| held.customer_id.as_str() == "c-0" && held.tries > 1)
    })
    .await;
    let of = |customer: &str| hook.deliveries().into_iter().filter(|one| one.customer() == customer).count();
    assert_eq!(of("c-1"), 1, "one at a time for a customer");
    assert!(of("c-0") > 1);
    hook.decide(|_| Reply::Status(200));
    eventually("then it is, too", async || hook.acknowledged() >= 5 * 8).await;
}

async fn each_event_is_acknowledged_in_order_whatever_the_receiver_does(engine: Engine) {
    let place = Place::start(engine).await;
    let mut dice = Dice::new(7);
    let hook = Hook::deciding(move |_| match dice.roll(12) {
        0 => Reply::Status(500),
        1 => Reply::Close,
        2 => Reply::With(301, "Location: http://10.0.0.1/\r\n"),
        3 => Reply::Late(Duration::from_millis(20), 200),
        4 => Reply::With(503, "Retry-After: soon\r\n"),
        _ => Reply::Status(200),
    })
    .await;
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    change(&place, 10, 12).await;
    place.settled(&id).await;
    let feed = place.feed().await;
    let doubles = hook.assert_complete_and_in_order(&feed);
    assert!(doubles > 0, "some failed first");
    assert!(hook.active_max() <= 32, "{}", hook.active_max());
    println!("{} deliveries of {} events, {doubles} again, 0 lost", hook.deliveries().len(), feed.len());
}

async fn a_receiver_that_asks_to_wait_gets_nothing_meanwhile(engine: Engine) {
    let place = Place::start(engine).await;
    let hook = Hook::deciding(|_| Reply::With(429, "Retry-After: 3600\r\n")).await;
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    place.put("c-1").await;
    eventually("it is told to wait", async || place.webhook(&id).await.progress.held_until > 0).await;
    let waits_until = place.webhook(&id).await.progress.held_until;
    let in_an_hour = customers_api::clock::now().timestamp_micros() + 3_500 * 1_000_000;
    assert!(waits_until > in_an_hour, "{waits_until}");
    hook.decide(|_| Reply::Status(200));
    place.put("c-2").await;
    // Its events are read and wait: more of them come after a resume only.
    sleep(Duration::from_millis(500)).await;
    assert_eq!(hook.deliveries().len(), 1);
    assert!(place.api.store.resume_webhook(&id).await.unwrap());
    place.settled(&id).await;
    assert_eq!(hook.acknowledged(), 2);
}

async fn after_ten_failures_the_receiver_is_probed(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::deciding(|_| Reply::Status(500)).await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    change(&place, 12, 1).await;
    eventually("it failed ten times", async || place.webhook(&id).await.progress.failures >= 10).await;
    let before = hook.deliveries().len();
    place.put("c-new").await;
    eventually("it is probed", async || hook.deliveries().len() > before + 3).await;
    let customers: Vec<_> = hook.deliveries().iter().map(|one| one.customer().to_owned()).collect();
    assert!(!customers.contains(&"c-new".to_owned()), "new events wait");
    let mut count = 0;
    hook.decide(move |_| {
        count += 1;
        if count == 1 { Reply::Late(Duration::from_millis(100), 200) } else { Reply::Status(200) }
    });
    place.settled(&id).await;
    assert_eq!(place.webhook(&id).await.progress.failures, 0);
    hook.assert_complete_and_in_order(&place.feed().await);
}

async fn a_receiver_that_is_gone_pauses_its_endpoint(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::deciding(|_| Reply::Status(410)).await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    place.put("c-1").await;
    eventually("it is paused", async || place.webhook(&id).await.state == WebhookState::PausedByReceiver)
        .await;
    place.put("c-2").await;
    hook.decide(|_| Reply::Status(200));
    assert!(place.api.store.resume_webhook(&id).await.unwrap());
    place.settled(&id).await;
    hook.assert_complete_and_in_order(&place.feed().await);
}

async fn a_paused_endpoint_gets_nothing_until_it_is_resumed(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    place.put("c-1").await;
    place.settled(&id).await;
    assert!(place.api.store.pause_webhook(&id).await.unwrap());
    assert!(!place.api.store.pause_webhook(&id).await.unwrap(), "it is paused already");
    // Within 2 seconds a running service knows.
    sleep(Duration::from_millis(2_100)).await;
    change(&place, 3, 3).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(hook.deliveries().len(), 1);
    assert!(place.api.store.resume_webhook(&id).await.unwrap());
    place.settled(&id).await;
    assert_eq!(hook.assert_complete_and_in_order(&place.feed().await), 0);
}

async fn events_are_sent_again_from_where_a_replay_says(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    change(&place, 1, 6).await;
    place.settled(&id).await;
    let third = place.api.store.cursor_at(&"acme".parse().unwrap(), 3).await.unwrap().unwrap();
    assert!(place.api.store.replay_webhook(&id, third).await.unwrap());
    eventually("three come again", async || hook.deliveries().len() == 9).await;
    place.settled(&id).await;
    assert_eq!(hook.assert_complete_and_in_order(&place.feed().await), 3);
}

async fn an_endpoint_whose_events_are_pruned_is_gone_until_a_replay(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    assert!(place.api.store.pause_webhook(&id).await.unwrap());
    change(&place, 1, 3).await;
    place.api.store.number_events().await.unwrap();
    place.api.database.execute("UPDATE events SET occurred_at = 0 WHERE position <= 2").await;
    place.api.store.prune_events(1).await.unwrap();
    assert!(place.api.store.resume_webhook(&id).await.unwrap());
    eventually("it is gone", async || place.webhook(&id).await.state == WebhookState::Gone).await;
    assert!(!place.api.store.resume_webhook(&id).await.unwrap(), "nothing is skipped silently");
    assert_eq!(hook.deliveries().len(), 0);
    let second = place.api.store.cursor_at(&"acme".parse().unwrap(), 2).await.unwrap().unwrap();
    assert!(place.api.store.replay_webhook(&id, second).await.unwrap());
    place.settled(&id).await;
    assert_eq!(hook.deliveries().len(), 1);
}

async fn an_endpoint_that_was_removed_gets_nothing(engine: Engine) {
    let (place, hook, other) = (Place::start(engine).await, Hook::start().await, Hook::start().await);
    let (removed, _) = place.add(&hook, EventTypes::ALL).await;
    let (id, _) = place.add(&other, EventTypes::ALL).await;
    place.put("c-1").await;
    place.settled(&removed).await;
    assert!(place.api.store.remove_webhook(&removed).await.unwrap());
    assert_eq!(place.api.database.count("webhook_secrets").await, 1);
    sleep(Duration::from_millis(2_100)).await;
    place.put("c-2").await;
    place.settled(&id).await;
    assert_eq!((hook.deliveries().len(), other.deliveries().len()), (1, 2));
}

async fn another_secret_signs_as_well_while_it_rotates(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let (id, old) = place.add(&hook, EventTypes::ALL).await;
    let new = Secret::random();
    let row = place.sealed(&id, &new);
    place.api.store.rotate_webhook_secret(&row, row.created_at + 60_000_000).await.unwrap();
    eventually("both sign, the new one first", async || {
        place.put("c-1").await;
        place.settled(&id).await;
        let last = hook.deliveries().pop().unwrap();
        let by = |secret: &Secret| secret.sign(&last.id, last.timestamp, last.body.as_bytes());
        assert!(last.signature.contains(&by(&old)), "the old one signs until it expires");
        last.signature == format!("{} {}", by(&new), by(&old))
    })
    .await;
    place.api.store.rotate_webhook_secret(&place.sealed(&id, &new), row.created_at).await.unwrap();
    eventually("old ones are forgotten at once if need be", async || {
        place.put("c-1").await;
        place.settled(&id).await;
        let last = hook.deliveries().pop().unwrap();
        last.signature == new.sign(&last.id, last.timestamp, last.body.as_bytes())
    })
    .await;
}

async fn what_is_under_way_at_a_stop_may_finish(engine: Engine) {
    let place = Place::start(engine).await;
    let hook = Hook::deciding(|_| Reply::Late(Duration::from_millis(300), 200)).await;
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    change(&place, 1, 2).await;
    eventually("the first one is under way", async || hook.deliveries().len() == 1).await;
    place.webhooks.stop(Duration::from_secs(10)).await;
    assert_eq!(
        hook.log().iter().filter(|happened| matches!(happened, Happened::Acknowledged(_))).count(),
        1,
        "and no other begins"
    );
    let webhook = place.webhook(&id).await;
    assert_eq!((webhook.progress.cursor.position, webhook.holder), (1, None), "it is given back");
    let webhooks = send(&place.api.store, &place.records);
    place.settled(&id).await;
    assert_eq!(hook.assert_complete_and_in_order(&place.feed().await), 0);
    webhooks.stop(Duration::ZERO).await;
}

async fn what_does_not_finish_at_a_stop_is_sent_again(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::deciding(|_| Reply::Never).await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    place.put("c-1").await;
    eventually("it is under way", async || hook.deliveries().len() == 1).await;
    place.webhooks.stop(Duration::from_millis(100)).await;
    hook.decide(|_| Reply::Status(200));
    let webhooks = send(&place.api.store, &place.records);
    place.settled(&id).await;
    assert_eq!(hook.assert_complete_and_in_order(&place.feed().await), 1);
    webhooks.stop(Duration::ZERO).await;
}
