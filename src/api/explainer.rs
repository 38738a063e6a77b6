//! Explains refused bodies, large ones on a thread of their own, so that an explanation does not delay other requests.

use std::borrow::Cow;

use actix_web::{rt::task::spawn_blocking, web::Bytes};

use super::{budget::Budget, error::ApiError};
use crate::{account::Account, contract, model::RequestExtensionItem};

/// The largest body that a worker explains itself, in bytes. It takes about a millisecond.
const SMALL_BODY_BYTES_MAX: usize = 8 * 1024;

/// Explains small bodies at once, and large ones elsewhere, one after the other: an explanation may need far more memory
/// and time than reading the body. They are explained in turn by account.
pub(super) struct Explainer(Budget);

impl Explainer {
    pub(super) fn new() -> Self {
        // Who waits keeps the body, and takes it along when the client gives up.
        Self(Budget::new(1))
    }

    /// Ends the waiting for the account for which the most bodies wait.
    pub(super) fn dismiss(&self) {
        self.0.dismiss();
    }

    /// The violations of this schema by a body that the models refused.
    pub(super) async fn explain(
        &self,
        account: &Account,
        schema: Cow<'static, str>,
        body: &Bytes,
    ) -> Result<Vec<RequestExtensionItem>, ApiError> {
        let violations = if body.len() <= SMALL_BODY_BYTES_MAX {
            contract::explain(&schema, body)
        } else {
            let (turn, body) = (self.0.reserve(account, 1).await?, body.clone());
            let explained = spawn_blocking(move || {
                // It ends with the explanation, also if the client gave up.
                let _turn = turn;
                contract::explain(&schema, &body)
            });
            explained.await.map_err(|panicked| ApiError::Internal(panicked.into()))?
        };
        if violations.is_empty() {
            return Err(ApiError::Internal("the models refuse a body that the contract accepts".into()));
        }
        Ok(violations)
    }
}
