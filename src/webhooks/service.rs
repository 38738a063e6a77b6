//! Which endpoints this process sends to: those that no other process does. Looked after on a thread of its own.

use std::{
    collections::HashMap,
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

/// How often the lease is renewed, and how long it is trusted from the beginning of a renewal on: less than it lasts.
const RENEWAL: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(12);

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
    renewed: Option<Instant>,
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
            renewed: None,
            pruned: Instant::now(),
            outage: Outage::new(),
        }
    }

    async fn run(mut self, mut orders: watch::Receiver<Order>) {
        while *orders.borrow() == Order::Run {
            match self.look_after().await {
                Ok(()) => self.outage.end("webhooks are looked after again"),
                Err(error) => self.outage.go_on(&chain(error.as_ref()), "webhooks cannot be looked after"),
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                _ = orders.changed() => {}
            }
        }
        self.end(orders).await;
    }

    /// Takes over what nobody sends to, and follows what the database says of the endpoints.
    async fn look_after(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let is_due = self.renewed.is_none_or(|renewed| renewed.elapsed() >= RENEWAL);
        if is_due && self.has_claimed {
            self.store.renew_webhooks(&self.holder).await?;
        }
        let mut webhooks = self.store.webhooks().await?;
        let is_free = |webhook: &Webhook| {
            webhook.state == WebhookState::Active && webhook.holder.as_deref() != Some(&*self.holder)
        };
        if webhooks.iter().any(is_free) {
            self.has_claimed = true;
            self.store.claim_webhooks(&self.holder).await?;
            webhooks = self.store.webhooks().await?;
        }
        self.metrics
            .note_paused(webhooks.iter().filter(|webhook| webhook.state.is_stopped_by_failure()).count());
        self.follow(webhooks).await?;
        if let Some(sender) = &self.sender
            && is_due
        {
            sender.set_lease(began + LEASE);
            self.renewed = Some(began);
        }
        if self.pruned.elapsed() >= PRUNE_PAUSE {
            self.store.prune_webhook_secrets().await?;
            self.pruned = Instant::now();
        }
        Ok(())
    }

    /// Starts and ends endpoints, so that exactly those are sent to that this process may.
    async fn follow(&mut self, webhooks: Vec<Webhook>) -> Result<(), Failure> {
        let of_this = |webhook: &Webhook| webhook.holder.as_deref() == Some(&*self.holder);
        let webhooks: HashMap<_, _> =
            webhooks.into_iter().filter(of_this).map(|webhook| (webhook.id.clone(), webhook)).collect();
        self.running.retain(|id, running| {
            let webhook = webhooks.get(id).filter(|webhook| webhook.epoch == running.epoch);
            match webhook.map(|webhook| webhook.state) {
                Some(WebhookState::Active) => {}
                Some(_) => drop(running.order.send_replace(Order::Finish)),
                None => running.task.abort(),
            }
            !running.task.is_finished() && webhook.is_some()
        });
        let is_new = |webhook: &Webhook| {
            webhook.state == WebhookState::Active && !self.running.contains_key(&webhook.id)
        };
        let new: Vec<Webhook> = webhooks.into_values().filter(is_new).collect();
        if new.is_empty() && self.running.is_empty() {
            return Ok(());
        }
        let signers = self.secrets.read(&self.store).await?;
        let sender = self.sender()?;
        sender.set_signers(signers);
        for webhook in new {
            let held = self.store.held_customers(&webhook.id).await?;
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
        tokio::select! {
            _ = &mut finished => {}
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
