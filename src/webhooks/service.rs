//! Which endpoints this process sends to: those that no other process does. Looked after on a thread of its own.

use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error,
    future::pending,
    io,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    runtime::Builder,
    sync::watch,
    task::{JoinHandle, LocalSet, spawn_local},
    time::{sleep, timeout},
};

use super::{
    client::Client,
    endpoint::{Endpoint, Order},
    secrets::Secrets,
    sender::Sender,
    steps::Steps,
    target::Allowed,
};
use crate::{
    random,
    record::Records,
    store::{Store, Webhook, WebhookState},
    telemetry::{Outage, WebhookMetrics, chain},
    threads::{Threads, give_way},
};

/// How often the endpoints are read.
const PAUSE: Duration = Duration::from_secs(1);

/// With so much left of it, a lease is renewed.
const RENEWAL_SECONDS: u32 = 10;

/// How often it is renewed while what is under way at a stop finishes.
const LAST_RENEWAL_PAUSE: Duration = Duration::from_secs(5);

/// How much of a lease is not used, because it is counted in whole seconds, and what was sent takes a moment.
const MARGIN_SECONDS: u32 = 3;

/// How often expired secrets are forgotten.
const PRUNE_PAUSE: Duration = Duration::from_secs(60);

/// How webhooks are sent.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The hosts that may be private, or without TLS.
    pub allowed: Allowed,
    /// When what failed is tried again.
    pub steps: Steps,
}

/// The webhooks of a service.
pub struct Webhooks {
    threads: Threads,
    order: watch::Sender<Order>,
    alive: watch::Receiver<()>,
}

impl Webhooks {
    /// Begins to send.
    pub fn start(
        store: Store,
        records: Records,
        settings: Settings,
        metrics: WebhookMetrics,
    ) -> io::Result<Self> {
        let (order, orders) = watch::channel(Order::Run);
        let (guard, alive) = watch::channel(());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let threads = Threads::default();
        threads.spawn("webhooks", move || {
            give_way();
            let keeper = Keeper::new(store, records, settings, metrics);
            LocalSet::new().block_on(&runtime, keeper.run(orders));
            drop(guard);
        })?;
        Ok(Self { threads, order, alive })
    }

    /// Begins no try any more, and waits until those that are under way have an answer, or this time is over.
    pub async fn stop(&self, patience: Duration) {
        self.order.send_replace(Order::Finish);
        if timeout(patience, self.have_ended()).await.is_err() {
            self.order.send_replace(Order::End);
            self.have_ended().await;
        }
    }

    async fn have_ended(&self) {
        // Nothing is ever sent: the thread drops the other half when it ends.
        drop(self.alive.clone().changed().await);
    }

    /// Waits until the thread has ended although nobody stopped it, which must not happen. Returns its name.
    pub async fn ended(&self) -> &'static str {
        let thread = self.threads.ended().await;
        if *self.order.borrow() == Order::Run { thread } else { pending().await }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// Looks after the endpoints of this process.
struct Keeper {
    store: Store,
    settings: Settings,
    metrics: WebhookMetrics,
    secrets: Secrets,
    /// What names this process.
    holder: String,
    /// Made for the first endpoint: most services have none.
    sender: Option<Rc<Sender>>,
    running: HashMap<String, Running>,
    /// Whether an endpoint may be this process's own, also if no answer of the database said so.
    has_claimed: bool,
    pruned: Instant,
    outage: Outage,
}

/// An endpoint that is sent to.
struct Running {
    epoch: i64,
    order: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Keeper {
    fn new(store: Store, records: Records, settings: Settings, metrics: WebhookMetrics) -> Self {
        Self {
            secrets: Secrets::new(records),
            store,
            settings,
            metrics,
            holder: random::uuid().simple().to_string(),
            sender: None,
            running: HashMap::new(),
            has_claimed: false,
            pruned: Instant::now(),
            outage: Outage::new(),
        }
    }

    async fn run(mut self, mut orders: watch::Receiver<Order>) {
        tokio::select! {
            biased;
            // At once, also while the database does not answer.
            _ = orders.wait_for(|order| *order != Order::Run) => {}
            never = self.look_after_all() => match never {},
        }
        self.end(orders).await;
    }

    async fn look_after_all(&mut self) -> Infallible {
        loop {
            match self.look_after().await {
                Ok(()) => self.outage.end("webhooks are looked after again"),
                Err(error) => self.outage.go_on(&chain(error.as_ref()), "webhooks cannot be looked after"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Takes over what nobody sends to, and follows what the database says of the endpoints.
    async fn look_after(&mut self) -> Result<(), Failure> {
        let mut began = Instant::now();
        let mut webhooks = self.store.webhooks().await?;
        let is_due = |webhook: &Webhook| self.is_sent_to(webhook) && webhook.lease_seconds <= RENEWAL_SECONDS;
        let is_free = |webhook: &Webhook| {
            webhook.state == WebhookState::Active && !self.is_ours(webhook) && webhook.lease_seconds == 0
        };
        let (renews, claims) = (webhooks.iter().any(is_due), webhooks.iter().any(is_free));
        if renews {
            self.store.renew_webhooks(&self.holder).await?;
        }
        if claims {
            self.has_claimed = true;
            self.store.claim_webhooks(&self.holder).await?;
        }
        if renews || claims {
            began = Instant::now();
            webhooks = self.store.webhooks().await?;
        }
        self.metrics
            .note_paused(webhooks.iter().filter(|webhook| webhook.state.is_stopped_by_failure()).count());
        self.follow(webhooks, began).await?;
        if self.pruned.elapsed() >= PRUNE_PAUSE {
            self.store.prune_webhook_secrets().await?;
            self.pruned = Instant::now();
        }
        Ok(())
    }

    fn is_ours(&self, webhook: &Webhook) -> bool {
        webhook.holder.as_deref() == Some(&*self.holder)
    }

    /// Whether this process sends to an endpoint, or is to.
    fn is_sent_to(&self, webhook: &Webhook) -> bool {
        let is_active = webhook.state == WebhookState::Active || self.running.contains_key(&webhook.id);
        self.is_ours(webhook) && is_active
    }

    /// Starts and ends endpoints, so that exactly those are sent to that this process may. They were read at this time or later.
    async fn follow(&mut self, webhooks: Vec<Webhook>, began: Instant) -> Result<(), Failure> {
        let ours = webhooks.into_iter().filter(|webhook| self.is_ours(webhook));
        let webhooks: HashMap<_, _> = ours.map(|webhook| (webhook.id.clone(), webhook)).collect();
        let sent_to = webhooks.values().filter(|webhook| self.is_sent_to(webhook));
        let lease_seconds = sent_to.map(|webhook| webhook.lease_seconds).min();
        // What ended by itself is begun anew only after it is read again: these may be from before it wrote down why.
        let is_new = |webhook: &&Webhook| {
            webhook.state == WebhookState::Active
                && self.running.get(&webhook.id).is_none_or(|running| running.epoch != webhook.epoch)
        };
        let new: Vec<Webhook> = webhooks.values().filter(is_new).cloned().collect();
        self.running.retain(|id, running| {
            let webhook = webhooks.get(id).filter(|webhook| webhook.epoch == running.epoch);
            match webhook.map(|webhook| webhook.state) {
                Some(WebhookState::Active) => {}
                Some(_) => drop(running.order.send_replace(Order::Finish)),
                None => running.task.abort(),
            }
            !running.task.is_finished() && webhook.is_some()
        });
        let Some(lease_seconds) = lease_seconds else { return Ok(()) };
        let signers = self.secrets.read(&self.store).await?;
        let sender = self.sender()?;
        sender.set_signers(signers);
        // The answer of the database alone says how long: whether an endpoint was claimed or renewed just now does not count.
        sender.set_lease(began + Duration::from_secs(lease_seconds.saturating_sub(MARGIN_SECONDS).into()));
        for webhook in new {
            let Some(held) = self.store.held_customers(&webhook).await? else { continue };
            let (id, epoch) = (webhook.id.clone(), webhook.epoch);
            let endpoint = Endpoint::new(webhook, held, Rc::clone(&sender), self.store.clone());
            let (order, orders) = watch::channel(Order::Run);
            self.running.insert(id, Running { epoch, order, task: spawn_local(endpoint.run(orders)) });
        }
        Ok(())
    }

    fn sender(&mut self) -> Result<Rc<Sender>, Failure> {
        if let Some(sender) = &self.sender {
            return Ok(Rc::clone(sender));
        }
        let Settings { allowed, steps } = &self.settings;
        let client = Client::new(allowed.clone())?;
        let sender = Rc::new(Sender::new(client, allowed.clone(), *steps, self.metrics.clone()));
        self.sender = Some(Rc::clone(&sender));
        Ok(sender)
    }

    /// Lets what is under way finish, and then others go on.
    async fn end(self, mut orders: watch::Receiver<Order>) {
        let (told, tasks): (Vec<_>, Vec<_>) =
            self.running.into_values().map(|Running { order, task, .. }| (order, task)).unzip();
        let tell = |order: Order| {
            for endpoint in &told {
                endpoint.send_replace(order);
            }
        };
        tell(Order::Finish);
        let mut finished = pin!(join_all(tasks));
        let keeps_lease = async || -> Infallible {
            loop {
                if self.has_claimed {
                    // Without an answer, the lease just ends earlier.
                    drop(self.store.renew_webhooks(&self.holder).await);
                }
                sleep(LAST_RENEWAL_PAUSE).await;
            }
        };
        tokio::select! {
            _ = &mut finished => {}
            never = keeps_lease() => match never {},
            _ = orders.wait_for(|order| *order == Order::End) => {
                tell(Order::End);
                finished.await;
            }
        }
        if self.has_claimed
            && let Err(error) = self.store.release_webhooks(&self.holder).await
        {
            tracing::warn!(cause = chain(&error), "the webhooks of this process were not given back");
        }
    }
}

#[cfg(test)]
mod tests;
