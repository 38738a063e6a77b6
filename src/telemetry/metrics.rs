//! Metrics, in the text format of Prometheus.
//!
//! To count is an atomic addition. No label is made from what a client sends, so the number of series is bounded.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};
use strum::{IntoStaticStr, VariantArray};

use super::process::Process;

/// Why metrics cannot be made or shown.
pub use prometheus::Error as MetricsError;

/// The media type of [`Metrics::text`].
pub use prometheus::TEXT_FORMAT as METRICS_MEDIA_TYPE;

/// In seconds.
const DURATION_BUCKETS: [f64; 15] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// In writes.
const GROUP_BUCKETS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum WriteOutcome {
    /// The customer is new.
    Created,
    /// The customer was replaced.
    Updated,
    /// The customer is gone.
    Deleted,
    /// There was no such customer.
    NotFound,
    /// A precondition was false.
    ConditionFailed,
    /// The signature was used before. Nothing was written.
    Replayed,
    /// The write was not made, or nobody knows whether it was.
    Failed,
}

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// The customer is new.
    Created,
    /// The customer was replaced.
    Updated,
    /// The customer is gone.
    Deleted,
}

/// What became of a try to send an event to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryResult {
    /// The receiver acknowledged it.
    Delivered,
    /// It did not, or could not be reached.
    Failed,
}

/// The metrics of webhooks. Clones share them.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    deliveries: Counters,
    oldest: Gauge,
    paused: IntGauge,
}

impl WebhookMetrics {
    /// Nothing is counted yet.
    pub fn new() -> Result<Self, MetricsError> {
        Ok(Self {
            deliveries: Counters::of::<DeliveryResult>(
                "customers_webhook_deliveries_total",
                "Tries to send an event to a webhook, by what became of them.",
                "result",
            )?,
            oldest: Gauge::new(
                "customers_webhook_oldest_seconds",
                "Age of the oldest event that a webhook of this process has not acknowledged; 0 if there is none.",
            )?,
            paused: IntGauge::new(
                "customers_webhooks_paused",
                "Webhooks that get no more events, though no operator paused them.",
            )?,
        })
    }

    /// Counts a try.
    pub fn count(&self, result: DeliveryResult) {
        self.deliveries.values[result as usize].inc();
    }

    /// Notes how old the oldest event is that waits.
    pub fn note_oldest(&self, age: Duration) {
        self.oldest.set(age.as_secs_f64());
    }

    /// Notes how many endpoints are paused because they failed.
    pub fn note_paused(&self, endpoints: usize) {
        self.paused.set(i64::try_from(endpoints).unwrap_or(i64::MAX));
    }
}

/// What became of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SignatureResult {
    /// It proves who sent the request.
    Accepted,
    /// There is no signature.
    Missing,
    /// It does not have the form of one.
    Malformed,
    /// It names no registered key.
    UnknownKey,
    /// Its key was revoked.
    Revoked,
    /// Its key has expired.
    ExpiredKey,
    /// It was not made with its key.
    BadSignature,
    /// Its claims are not about this request.
    BadClaims,
}

/// The metrics of a store. Clones share them.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    group_writes: Histogram,
    commit_duration: Histogram,
    erase_wait: Gauge,
    writes: Counters,
    events: Counters,
    /// Since when events wait for their positions, if they do.
    unnumbered: Arc<Mutex<Option<Instant>>>,
}

impl StoreMetrics {
    /// Nothing is counted yet.
    pub fn new() -> Result<Self, MetricsError> {
        Ok(Self {
            group_writes: histogram(
                "customers_store_group_writes",
                "Writes of a group, which is committed as one transaction.",
                &GROUP_BUCKETS,
            )?,
            commit_duration: histogram(
                "customers_store_commit_duration_seconds",
                "Time to write and commit a group, successful or not.",
                &DURATION_BUCKETS,
            )?,
            erase_wait: Gauge::new(
                "customers_store_erase_wait_seconds",
                "Time that deleted rows wait to be erased from the files because it fails; 0 if they do not.",
            )?,
            writes: Counters::of::<WriteOutcome>(
                "customers_store_writes_total",
                "Writes by what became of them. A failed write was not made, or nobody knows whether it was.",
                "outcome",
            )?,
            events: Counters::of::<EventKind>(
                "customers_events_total",
                "Events that were committed, by what they tell.",
                "type",
            )?,
            unnumbered: Arc::default(),
        })
    }

    /// Counts an event.
    pub fn count_event(&self, kind: EventKind) {
        self.events.values[kind as usize].inc();
    }

    /// Notes whether committed events wait for their positions.
    pub fn note_unnumbered(&self, any: bool) {
        let mut since = self.unnumbered.lock().unwrap_or_else(PoisonError::into_inner);
        *since = any.then(|| since.unwrap_or_else(Instant::now));
    }

    /// For how long committed events have waited for their positions.
    fn unnumbered(&self) -> Duration {
        let since = *self.unnumbered.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Counts a write.
    pub fn count(&self, outcome: WriteOutcome) {
        self.writes.values[outcome as usize].inc();
    }

    /// Notes how large a group was, and how long it took.
    pub fn note_commit(&self, writes: usize, took: Duration) {
        self.group_writes.observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
        self.commit_duration.observe(took.as_secs_f64());
    }

    /// Notes how long erasing has failed; zero if it does not.
    pub fn note_erase_wait(&self, time: Duration) {
        self.erase_wait.set(time.as_secs_f64());
    }
}

/// When the certificate expires that clients are shown, as a metric. Clones share it.
#[derive(Debug, Clone)]
pub struct CertificateExpiry(Gauge);

impl CertificateExpiry {
    /// Not known yet.
    pub fn new() -> Result<Self, MetricsError> {
        let gauge = Gauge::new(
            "customers_tls_certificate_expiry_timestamp_seconds",
            "When the TLS certificate expires, in seconds since the Unix epoch.",
        );
        gauge.map(Self)
    }

    /// Notes the time, in seconds since the Unix epoch.
    pub fn set(&self, seconds: f64) {
        self.0.set(seconds);
    }
}

/// The metrics of the service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    request_duration: HistogramVec,
    active_requests: IntGauge,
    signatures: Counters,
    queue_writes: IntGauge,
    registry_age: Gauge,
    ready: IntGauge,
    budget_used: IntGaugeVec,
    budget: IntGaugeVec,
    unnumbered: Gauge,
    store: StoreMetrics,
}

/// What is not counted, but asked for when metrics are shown.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// How many writes wait.
    pub queue_writes: usize,
    /// How long ago the registered keys were read.
    pub registry_age: Duration,
    /// Whether requests can be served.
    pub is_ready: bool,
    /// The name of each budget, how many bytes of it are used, and how many it has.
    pub budgets: [(&'static str, usize, usize); 2],
}

/// A request that has no answer yet.
#[derive(Debug)]
pub struct ActiveRequest(IntGauge);

impl Metrics {
    /// The metrics of a service with a store.
    pub fn new(store: &StoreMetrics, engine: &str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let request_duration = HistogramOpts::new(
            "http_server_request_duration_seconds",
            "Time from a request to its answer. The status 499 means that the client was gone.",
        );
        let request_duration = HistogramVec::new(
            request_duration.buckets(DURATION_BUCKETS.to_vec()),
            &["http_request_method", "http_route", "http_response_status_code"],
        )?;
        let info = Opts::new("customers_build_info", "The version of the service, and its database engine.");
        let info = info.const_label("version", env!("CARGO_PKG_VERSION")).const_label("engine", engine);
        registered(&registry, IntGauge::with_opts(info)?)?.set(1);
        let signatures = Counters::of::<SignatureResult>(
            "customers_signatures_total",
            "Signatures by what became of them.",
            "result",
        )?;
        let StoreMetrics { group_writes, commit_duration, erase_wait, writes, events, unnumbered: _ } = store;
        for counters in [&signatures, writes, events] {
            registry.register(Box::new(counters.collector.clone()))?;
        }
        for histogram in [group_writes, commit_duration] {
            registry.register(Box::new(histogram.clone()))?;
        }
        registry.register(Box::new(erase_wait.clone()))?;
        registry.register(Box::new(Process::new()))?;
        let gauge = |name, help| registered(&registry, IntGauge::new(name, help)?);
        let of_budgets =
            |name, help| registered(&registry, IntGaugeVec::new(Opts::new(name, help), &["budget"])?);
        let registry_age = Gauge::new(
            "customers_registry_age_seconds",
            "Time since the registered keys were read. After 5 seconds, every signature is refused.",
        )?;
        let unnumbered = Gauge::new(
            "customers_events_unnumbered_seconds",
            "For how long events that this process committed have waited for their place in the order of all.",
        )?;
        Ok(Self {
            unnumbered: registered(&registry, unnumbered)?,
            store: store.clone(),
            request_duration: registered(&registry, request_duration)?,
            active_requests: gauge("http_server_active_requests", "Requests that have no answer yet.")?,
            signatures,
            queue_writes: gauge("customers_store_queue_writes", "Writes that wait for a group.")?,
            registry_age: registered(&registry, registry_age)?,
            ready: gauge("customers_ready", "Whether requests can be served, as /readyz says: 1 or 0.")?,
            budget_used: of_budgets(
                "customers_budget_used_bytes",
                "Bytes that all requests or answers occupy.",
            )?,
            budget: of_budgets(
                "customers_budget_bytes",
                "Bytes that they may occupy. If there are no more, requests get 503.",
            )?,
            registry: registry.clone(),
        })
    }

    /// Shows when the certificate expires.
    pub fn show_certificate(&self, CertificateExpiry(gauge): &CertificateExpiry) -> Result<(), MetricsError> {
        self.registry.register(Box::new(gauge.clone()))
    }

    /// Shows what became of webhooks.
    pub fn show_webhooks(&self, webhooks: &WebhookMetrics) -> Result<(), MetricsError> {
        let WebhookMetrics { deliveries, oldest, paused } = webhooks;
        self.registry.register(Box::new(deliveries.collector.clone()))?;
        self.registry.register(Box::new(oldest.clone()))?;
        self.registry.register(Box::new(paused.clone()))
    }

    /// Counts a request that begins.
    #[must_use]
    pub fn begin_request(&self) -> ActiveRequest {
        self.active_requests.inc();
        ActiveRequest(self.active_requests.clone())
    }

    /// Notes how long a request took. The labels must not be made from what a client sent.
    pub fn note_request(&self, method: &'static str, route: &'static str, status: &str, took: Duration) {
        if let Ok(duration) = self.request_duration.get_metric_with_label_values(&[method, route, status]) {
            duration.observe(took.as_secs_f64());
        }
    }

    /// Counts a signature.
    pub fn count_signature(&self, result: SignatureResult) {
        self.signatures.values[result as usize].inc();
    }

    /// All metrics as text.
    pub fn text(&self, state: State) -> Result<String, MetricsError> {
        let State { queue_writes, registry_age, is_ready, budgets } = state;
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.queue_writes.set(gauge(queue_writes));
        for (name, used, max) in budgets {
            self.budget_used.with_label_values(&[name]).set(gauge(used));
            self.budget.with_label_values(&[name]).set(gauge(max));
        }
        self.registry_age.set(registry_age.as_secs_f64());
        self.ready.set(is_ready.into());
        self.unnumbered.set(self.store.unnumbered().as_secs_f64());
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A counter for each value of a label, by the number of the value. All of them are shown from the start.
#[derive(Debug, Clone)]
struct Counters {
    collector: IntCounterVec,
    values: Vec<IntCounter>,
}

impl Counters {
    fn of<L: VariantArray + Copy + Into<&'static str>>(
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<Self, MetricsError> {
        let collector = IntCounterVec::new(Opts::new(name, help), &[label])?;
        let counter = |&value: &L| collector.with_label_values(&[value.into()]);
        let values = L::VARIANTS.iter().map(counter).collect();
        Ok(Self { collector, values })
    }
}

/// A metric that is shown.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, MetricsError> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricsError> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
}
