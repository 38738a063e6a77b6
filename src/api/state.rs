use super::{
    body_budget::BodyBudget,
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
    telemetry::{CertificateExpiry, Metrics, MetricsError, State},
};

/// What the handlers work with.
pub struct Api {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) page_tokens: PageTokens,
    pub(super) records: Records,
    pub(super) body_budget: BodyBudget,
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
            body_budget: BodyBudget::new(),
            explainer: Explainer::start().map_err(|error| StoreError::Failed(error.into()))?,
            readiness: Readiness::new(),
            metrics,
        })
    }

    /// Shows with the metrics when the certificate expires.
    pub fn show_certificate(&self, expiry: &CertificateExpiry) -> Result<(), MetricsError> {
        self.metrics.show_certificate(expiry)
    }

    /// The registered keys.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics as text.
    pub(super) async fn metrics_text(&self) -> Result<String, MetricsError> {
        let is_ready = self.readiness.check(&self.store, &self.registry).await.is_ok();
        let (queue_writes, registry_age) = (self.store.queue_writes(), self.registry.age());
        self.metrics.text(State { queue_writes, registry_age, is_ready })
    }
}
