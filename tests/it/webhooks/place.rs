//! A service with seal keys, and what sends its webhooks.

use std::time::Duration;

use customers_api::{
    account::Account,
    clock,
    record::{Records, SealKeys, generate_key_line},
    store::{EventTypes, FeedStart, HeldCustomer, Progress, Store, Webhook, WebhookSecret, WebhookState},
    telemetry::WebhookMetrics,
    webhooks::{Allowed, AllowedHost, ENDPOINTS_MAX, Secret, Settings, Steps, Webhooks},
};
use serde_json::Value;

use super::hook::Hook;
use crate::support::{Engine, TestApi, eventually, mia};

/// Short, and long enough that what comes meanwhile can be seen.
pub(super) const STEPS: Steps = Steps(&[Duration::from_millis(100), Duration::from_millis(300)]);

pub(super) struct Place {
    pub(super) api: TestApi,
    pub(super) records: Records,
    pub(super) webhooks: Webhooks,
}

impl Place {
    pub(super) async fn start(engine: Engine) -> Self {
        let keys = SealKeys::parse(&generate_key_line("k1")).unwrap();
        let records = Records::new(keys);
        let api = TestApi::with_records(engine, records.clone()).await;
        records.begin(&api.store).await.unwrap();
        let webhooks = send(&api.store, &records);
        Self { api, records, webhooks }
    }

    /// Adds an endpoint of the account `acme` with a new secret.
    pub(super) async fn add(&self, hook: &Hook, types: EventTypes) -> (String, Secret) {
        self.add_for("acme", hook, types).await
    }

    pub(super) async fn add_for(&self, account: &str, hook: &Hook, types: EventTypes) -> (String, Secret) {
        let webhook = Webhook { types, ..self.endpoint(account, hook).await };
        let secret = Secret::random();
        let row = self.sealed(&webhook.id, &secret);
        assert!(self.api.store.add_webhook(&webhook, &row, ENDPOINTS_MAX).await.unwrap());
        (webhook.id, secret)
    }

    /// An endpoint that is sent all events from now on, once it is added.
    pub(super) async fn endpoint(&self, account: &str, hook: &Hook) -> Webhook {
        let account: Account = account.parse().unwrap();
        let store = &self.api.store;
        store.number_events().await.unwrap();
        let cursor = store.events(&account, None, FeedStart::Newest, 1).await.unwrap().unwrap().next;
        let progress =
            Progress { cursor, failures: 0, failing_since: None, held_until: 0, last_failure: None };
        Webhook {
            id: customers_api::random::uuid().simple().to_string(),
            account,
            url: hook.url.clone(),
            types: EventTypes::ALL,
            state: WebhookState::Active,
            progress,
            epoch: 0,
            holder: None,
            lease_seconds: 0,
        }
    }

    pub(super) fn sealed(&self, webhook_id: &str, secret: &Secret) -> WebhookSecret {
        let (sealed_by, sealed) = self.records.seal_secret(webhook_id, secret.as_bytes()).unwrap();
        WebhookSecret {
            webhook_id: webhook_id.to_owned(),
            secret_id: customers_api::random::uuid().simple().to_string(),
            created_at: clock::now().timestamp_micros(),
            expires_at: None,
            sealed_by,
            secret: sealed,
        }
    }

    pub(super) async fn put(&self, id: &str) {
        let status = self.api.put(id, &mia()).send().await.status;
        assert!(status.is_success(), "{status}");
    }

    pub(super) async fn webhook(&self, id: &str) -> Webhook {
        loop {
            // The database may be busy.
            if let Ok(webhooks) = self.api.store.webhooks().await {
                return webhooks.into_iter().find(|webhook| webhook.id == id).unwrap();
            }
        }
    }

    /// All events of the account `acme`, as its feed has them.
    pub(super) async fn feed(&self) -> Vec<Value> {
        crate::events::all(&self.api, 100).await.0
    }

    /// Waits until an endpoint has acknowledged all events that there are, and has written that down.
    pub(super) async fn settled(&self, id: &str) {
        let store = &self.api.store;
        store.number_events().await.unwrap();
        let account: Account = "acme".parse().unwrap();
        let newest = store.events(&account, None, FeedStart::Newest, 1).await.unwrap().unwrap().next;
        eventually("everything is acknowledged", async || {
            let webhook = self.webhook(id).await;
            webhook.progress.cursor == newest && held(store, &webhook).await.is_empty()
        })
        .await;
    }
}

/// The customers that an endpoint holds back.
pub(super) async fn held(store: &Store, webhook: &Webhook) -> Vec<HeldCustomer> {
    loop {
        // The database may be busy.
        if let Ok(held) = store.held_customers(webhook).await {
            return held.unwrap_or_default();
        }
    }
}

/// Sends the webhooks of a database to loopback.
pub(super) fn send(store: &Store, records: &Records) -> Webhooks {
    let host: AllowedHost = "127.0.0.1".parse().unwrap();
    let settings = Settings { allowed: Allowed::from_iter([host]), steps: STEPS };
    Webhooks::start(store.clone(), records.clone(), settings, WebhookMetrics::new().unwrap()).unwrap()
}
