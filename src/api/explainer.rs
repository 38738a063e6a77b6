//! Explains refused bodies, so that an explanation costs nobody else anything.

use std::{sync::Arc, time::Duration};

use actix_web::web::Bytes;
use tokio::{
    sync::{AcquireError, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use super::error::ApiError;
use crate::{contract, model::RequestExtensionItem};

/// The largest body that a worker explains itself, in bytes. It takes about a millisecond.
const SMALL_BODY_BYTES_MAX: usize = 8 * 1024;

/// How long a body waits for its explanation.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Explains small bodies at once, and large ones on another thread, one after the other: an explanation may need far
/// more memory and time than its body.
pub(super) struct Explainer(Arc<Semaphore>);

impl Explainer {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// The violations of a body that the models refused.
    pub(super) async fn explain(&self, body: &Bytes) -> Result<Vec<RequestExtensionItem>, ApiError> {
        let violations = if body.len() <= SMALL_BODY_BYTES_MAX {
            contract::explain_customer_input(body)
        } else {
            self.explain_elsewhere(body.clone()).await?
        };
        if violations.is_empty() {
            return Err(ApiError::Internal("the models refuse a body that the contract accepts".into()));
        }
        Ok(violations)
    }

    async fn explain_elsewhere(&self, body: Bytes) -> Result<Vec<RequestExtensionItem>, ApiError> {
        let explained = async {
            let turn = Arc::clone(&self.0).acquire_owned().await?;
            let explained = spawn_blocking(move || {
                // The next one waits for the end, even if this caller does not.
                let _turn = turn;
                contract::explain_customer_input(&body)
            });
            Ok::<_, AcquireError>(explained.await)
        };
        let explained = timeout(EXPLANATION_TIMEOUT, explained).await;
        let explained = explained.map_err(|late| ApiError::Unavailable(Some(late.into())))?;
        explained
            .map_err(|error| ApiError::Internal(error.into()))?
            .map_err(|error| ApiError::Internal(error.into()))
    }
}
