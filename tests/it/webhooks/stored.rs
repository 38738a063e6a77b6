//! Endpoints in the database: what happens when two change one at the same time.

use customers_api::{
    store::{Cursor, EventTypes, WebhookChanges, WebhookState},
    webhooks::{ENDPOINTS_MAX, Secret},
};
use futures_util::future::{join, join_all};

use super::{hook::Hook, place::Place};
use crate::support::{Engine, eventually, on_each_engine};

on_each_engine! {
    two_who_add_at_once_make_no_17th_endpoint,
    an_endpoint_that_an_operator_paused_stays_so,
}

async fn two_who_add_at_once_make_no_17th_endpoint(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    for _ in 1..ENDPOINTS_MAX {
        place.add_for("acme", &hook, EventTypes::ALL).await;
    }
    let stores = [place.api.database.open().await, place.api.database.open().await];
    let lock = place.api.database.lock_webhook_secrets().await;
    let adding = join_all(stores.iter().map(async |store| {
        let webhook = place.endpoint("acme", &hook).await;
        let secret = place.sealed(&webhook.id, &Secret::random());
        store.add_webhook(&webhook, &secret, ENDPOINTS_MAX).await.unwrap()
    }));
    let (mut added, ()) = join(adding, async {
        // Both have begun, and neither has ended.
        eventually("both wait", async || place.api.database.waiting().await.is_none_or(|count| count == 2))
            .await;
        lock.release().await;
    })
    .await;
    added.sort_unstable();
    assert_eq!(added, [false, true]);
    assert_eq!(place.api.database.count("webhooks").await, ENDPOINTS_MAX);
    assert_eq!(place.api.database.count("webhook_secrets").await, ENDPOINTS_MAX);
    place.add_for("other", &hook, EventTypes::ALL).await;
}

async fn an_endpoint_that_an_operator_paused_stays_so(engine: Engine) {
    let (place, hook) = (Place::start(engine).await, Hook::start().await);
    let (id, _) = place.add(&hook, EventTypes::ALL).await;
    assert!(place.api.store.pause_webhook(&id).await.unwrap());
    let webhook = place.webhook(&id).await;
    let changes = WebhookChanges {
        progress: webhook.progress,
        state: Some(WebhookState::PausedByReceiver),
        held: Vec::new(),
        freed: Vec::new(),
    };
    assert!(place.api.store.save_webhook(&id, webhook.epoch, changes).await.unwrap());
    assert_eq!(place.webhook(&id).await.state, WebhookState::PausedByOperator, "410 came later");
    assert!(place.api.store.replay_webhook(&id, Cursor::START).await.unwrap());
    assert_eq!(place.webhook(&id).await.state, WebhookState::PausedByOperator);
}
