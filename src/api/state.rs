use super::{
    budget::{ANSWERS_BYTES_MAX, BODIES_BYTES_MAX, Budget},
    explainer::Explainer,
    page_token::{PAGE_TOKEN_KEY_BYTES, PageTokens},
    readiness::Readiness,
    settings::Settings,
};
use crate::{
    random,
    record::Records,
    registry::Registry,
    store::{Store, StoreError},
    telemetry::{Metrics, MetricsError, State},
};

/// What the handlers work with.
pub struct Api {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) page_tokens: PageTokens,
    pub(super) records: Records,
    /// For the bodies of requests.
    pub(super) bodies: Budget,
    /// For answers that wait to be sent.
    pub(super) answers: Budget,
    pub(super) explainer: Explainer,
    pub(super) readiness: Readiness,
    pub(super) metrics: Metrics,
}

impl Api {
    /// Reads from the store what requests need. Must be called on a runtime's thread.
    pub async fn new(settings: Settings, store: Store, records: Records) -> Result<Self, StoreError> {
        let registry = Registry::start(store.clone()).await?;
        let candidate = random::bytes::<PAGE_TOKEN_KEY_BYTES>().to_vec();
        let page_tokens = PageTokens::new(&store.secret("page-token", candidate).await?);
        let metrics = Metrics::new(store.metrics(), store.engine())
            .map_err(|error| StoreError::Failed(error.into()))?;
        Ok(Self {
            settings,
            store,
            registry,
            page_tokens,
            records,
            bodies: Budget::new(BODIES_BYTES_MAX),
            answers: Budget::new(ANSWERS_BYTES_MAX),
            explainer: Explainer::new(),
            readiness: Readiness::new(),
            metrics,
        })
    }

    /// Ends the waiting of requests, for an event or for room: of each kind, that of the account with the most. So a new connection
    /// finds a place.
    pub(super) fn make_room(&self) {
        self.store.dismiss_followers();
        self.answers.dismiss();
        self.explainer.dismiss();
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The registered keys.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) async fn metrics_text(&self) -> Result<String, MetricsError> {
        let is_ready = self.readiness.check(&self.store, &self.registry).await.is_ok();
        let (queue_writes, registry_age) = (self.store.queue_writes(), self.registry.age());
        let budget = |name, budget: &Budget| (name, budget.used(), budget.max());
        let budgets = [budget("bodies", &self.bodies), budget("answers", &self.answers)];
        self.metrics.text(State { queue_writes, registry_age, is_ready, budgets })
    }
}

#[cfg(test)]
impl Api {
    /// Over a new SQLite database in this folder.
    pub(super) async fn of_test(folder: &tempfile::TempDir) -> Self {
        let url = format!("sqlite:{}", folder.path().join("customers.db").display()).parse().unwrap();
        let store = Store::open(&url, crate::store::Access::Create).await.unwrap();
        let (audience, base_path) = ("customers-api".to_owned(), "/".parse().unwrap());
        Self::new(Settings { audience, base_path, sandbox: false }, store, Records::default()).await.unwrap()
    }
}
