//! Who has a connection.

use std::sync::{Arc, OnceLock};

use actix_web::{HttpMessage as _, HttpRequest};

use crate::account::Account;

/// The account whose signature came first over a connection. Every request of it has this among its extensions.
#[derive(Clone, Default)]
pub(super) struct Caller(Arc<OnceLock<Account>>);

impl Caller {
    /// The caller of the connection of this request.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Notes that this account has signed a request.
    pub(super) fn note(&self, account: &Account) {
        self.0.get_or_init(|| account.clone());
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.0.get()
    }
}
