//! The contract's paths as handlers, and what surrounds them.
//!
//! A request passes `answer` (its id, its log line, the one error answer), then `signed` (who sent it, what it says),
//! then its handler, and goes to the store. Statuses are chosen in `error` alone.

mod answer;
mod base_path;
mod delete_customer;
mod document;
mod entity_tag;
mod error;
mod get_customer;
mod health;
mod keys;
mod list_customers;
mod operation;
mod page_token;
mod parameters;
mod parts;
mod put_customer;
mod responses;
mod routes;
mod server;
mod signed;
mod swagger_ui;

pub use base_path::{BasePath, InvalidBasePath};
pub use document::Document;
pub use error::ApiError;
pub use keys::Keys;
pub use operation::Operation;
pub use page_token::PageTokens;
pub use server::{Server, Sockets, run};

use crate::{
    random,
    store::{Store, StoreError},
};

/// The longest body that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The header that the signature is in.
pub const SIGNATURE_HEADER: &str = "Api-Signature";

/// How the service presents itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `aud` of every signature.
    pub audience: String,
    /// What comes before the contract's paths.
    pub base_path: BasePath,
    /// Whether requests without a signature are accepted.
    pub sandbox: bool,
}

/// What the handlers work with.
pub struct Api {
    settings: Settings,
    store: Store,
    keys: Keys,
    page_tokens: PageTokens,
}

impl Api {
    /// Gets everything ready that requests need. Must be called on a runtime's thread.
    pub async fn new(settings: Settings, store: Store) -> Result<Self, StoreError> {
        let keys = Keys::watch(store.clone()).await?;
        let candidate = [random::uuid().into_bytes(), random::uuid().into_bytes()].concat();
        let page_tokens = PageTokens::new(&store.secret("page-token", candidate).await?);
        Ok(Self { settings, store, keys, page_tokens })
    }
}
