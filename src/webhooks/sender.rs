//! What all endpoints of a process share: the client, the secrets, the lease, and what is counted.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    failure::{Failure, FailureKind},
    message::message,
    schedule::{Failed, Meaning},
    secrets::Signer,
    steps::Steps,
    target::{Allowed, InvalidTarget, Target},
};
use crate::{
    clock,
    store::StoredEvent,
    telemetry::{DeliveryResult, WebhookMetrics},
};

/// Where to send; an error if requests may not go there, or may not any more.
pub(super) type Destination = Result<Target, InvalidTarget>;

/// Shared by all endpoints of a process.
pub(super) struct Sender {
    client: Client,
    allowed: Allowed,
    steps: Steps,
    metrics: WebhookMetrics,
    /// The secrets of each endpoint, the newest first.
    signers: RefCell<HashMap<String, Vec<Signer>>>,
    /// Until when the endpoints are this process's own.
    lease: Cell<Option<Instant>>,
    /// When the oldest event of each endpoint happened that is not acknowledged.
    oldest: RefCell<HashMap<String, i64>>,
}

impl Sender {
    pub(super) fn new(client: Client, allowed: Allowed, steps: Steps, metrics: WebhookMetrics) -> Self {
        Self {
            client,
            allowed,
            steps,
            metrics,
            signers: RefCell::default(),
            lease: Cell::default(),
            oldest: RefCell::default(),
        }
    }

    pub(super) fn steps(&self) -> Steps {
        self.steps
    }

    pub(super) fn destination(&self, url: &str) -> Destination {
        Target::parse(url, &self.allowed)
    }

    /// The endpoints are this process's own until then.
    pub(super) fn set_lease(&self, until: Instant) {
        self.lease.set(Some(until));
    }

    pub(super) fn has_lease(&self) -> bool {
        self.lease.get().is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn set_signers(&self, signers: HashMap<String, Vec<Signer>>) {
        self.signers.replace(signers);
    }

    /// Notes when the oldest event of an endpoint happened that is not acknowledged.
    pub(super) fn note_oldest(&self, webhook_id: &str, occurred: Option<i64>) {
        let mut oldest = self.oldest.borrow_mut();
        match occurred {
            Some(occurred) => drop(oldest.insert(webhook_id.to_owned(), occurred)),
            None => drop(oldest.remove(webhook_id)),
        }
        let now = clock::now().timestamp_micros();
        let age = oldest.values().min().map_or(0, |oldest| now.saturating_sub(*oldest));
        self.metrics.note_oldest(Duration::from_micros(u64::try_from(age).unwrap_or_default()));
    }

    /// Sends an event once.
    pub(super) async fn send(
        &self,
        webhook_id: &str,
        destination: &Destination,
        event: StoredEvent,
    ) -> Result<(), Failed> {
        let sent = self.try_to_send(webhook_id, destination, event).await;
        let result = if sent.is_ok() { DeliveryResult::Delivered } else { DeliveryResult::Failed };
        self.metrics.count(result);
        sent
    }

    async fn try_to_send(
        &self,
        webhook_id: &str,
        destination: &Destination,
        event: StoredEvent,
    ) -> Result<(), Failed> {
        let target = destination.as_ref().map_err(|_| own_fault("address"))?;
        let message = message(event, self.signers.borrow().get(webhook_id).map_or(&[], Vec::as_slice));
        let message = message.ok_or_else(|| own_fault("no secret"))?;
        self.client.send(target, &message).await.map(drop).map_err(failed)
    }
}

/// What is wrong here, and not with the receiver.
fn own_fault(kind: &str) -> Failed {
    Failed { kind: kind.to_owned(), retry_after: None, meaning: Meaning::Customer }
}

fn failed(Failure { kind, retry_after }: Failure) -> Failed {
    let meaning = match kind {
        FailureKind::Status(410) => Meaning::Gone,
        FailureKind::Status(429 | 503) => Meaning::Endpoint,
        _ => Meaning::Customer,
    };
    Failed { kind: kind.to_string(), retry_after, meaning }
}
