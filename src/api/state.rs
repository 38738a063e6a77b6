use super::{
    page_token::{PAGE_TOKEN_KEY_BYTES, PageTokens},
    settings::Settings,
};
use crate::{
    random,
    record::Records,
    registry::Registry,
    store::{Store, StoreError},
};

/// What the handlers work with.
pub struct Api {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) page_tokens: PageTokens,
    pub(super) records: Records,
}

impl Api {
    /// Reads from the store what requests need. Must be called on a runtime's thread.
    pub async fn new(settings: Settings, store: Store, records: Records) -> Result<Self, StoreError> {
        let registry = Registry::start(store.clone()).await?;
        let candidate = random::bytes::<PAGE_TOKEN_KEY_BYTES>().to_vec();
        let page_tokens = PageTokens::new(&store.secret("page-token", candidate).await?);
        Ok(Self { settings, store, registry, page_tokens, records })
    }

    /// The registered keys.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
