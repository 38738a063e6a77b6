//! The secrets of all endpoints, opened.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::signing::Secret;
use crate::{
    record::Records,
    store::{Store, StoreError, WebhookSecret},
};

/// A secret of an endpoint, and when it does not sign any more.
pub struct Signer {
    /// The secret.
    pub(super) secret: Secret,
    expires_at: Option<i64>,
}

impl Signer {
    /// Whether it signs at this time.
    pub(super) fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| end > now.timestamp_micros())
    }
}

/// The secrets that were opened last, so that only new ones are opened.
pub struct Secrets {
    records: Records,
    opened: HashMap<(String, String), Secret>,
}

impl Secrets {
    /// Opens secrets with the seal keys of these records.
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self { records, opened: HashMap::new() }
    }

    /// The secrets of each endpoint, the newest first. One that cannot be opened is left out.
    pub async fn read(&mut self, store: &Store) -> Result<HashMap<String, Vec<Signer>>, StoreError> {
        let (mut signers, mut opened) = (HashMap::<_, Vec<_>>::new(), HashMap::new());
        for row in store.webhook_secrets().await? {
            let name = (row.webhook_id.clone(), row.secret_id.clone());
            let Some(secret) = self.opened.remove(&name).or_else(|| self.open(&row)) else { continue };
            opened.insert(name, secret.clone());
            signers.entry(row.webhook_id).or_default().push(Signer { secret, expires_at: row.expires_at });
        }
        self.opened = opened;
        Ok(signers)
    }

    fn open(&self, row: &WebhookSecret) -> Option<Secret> {
        let opened = self.records.open_secret(row);
        opened.ok().and_then(|bytes| Secret::from_bytes(&bytes).ok())
    }
}
