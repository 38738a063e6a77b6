//! The registered keys, kept at hand: read again every second, and at once when a token names an unknown one.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::error::ApiError;
use crate::{
    account::Account,
    signature::{Facts, Key, Keyring, PublicKey, verify},
    store::{SigningKey, Store, StoreError, UnusableKey},
    telemetry::chain,
};

/// How often the keys are read: the longest that a revoked one is still taken while the database answers.
const REFRESH: Duration = Duration::from_secs(1);

/// How long the keys are believed while the database does not answer. Then nobody gets in.
const STALE: Duration = Duration::from_secs(5);

/// The least time between two reads, however many tokens name unknown keys.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// The registered keys of a store.
pub struct Keys {
    shared: Arc<Shared>,
    refresher: JoinHandle<()>,
}

struct Shared {
    store: Store,
    snapshot: ArcSwap<Snapshot>,
    wanted: Notify,
    started: AtomicU64,
    finished: watch::Sender<u64>,
}

struct Snapshot {
    keyring: Arc<Keyring>,
    rows: Vec<Result<SigningKey, UnusableKey>>,
    read_at: Instant,
}

impl Keys {
    /// Reads the keys, and goes on reading them until it is dropped. Must be called on a runtime's thread.
    pub async fn watch(store: Store) -> Result<Self, StoreError> {
        let snapshot = Snapshot::read(&store, None).await?;
        let shared = Arc::new(Shared {
            store,
            snapshot: ArcSwap::from_pointee(snapshot),
            wanted: Notify::new(),
            started: AtomicU64::new(0),
            finished: watch::Sender::new(0),
        });
        let refresher = tokio::task::spawn(Arc::clone(&shared).refresh());
        Ok(Self { shared, refresher })
    }

    /// The account whose key signed exactly this request.
    pub(super) async fn verify(&self, token: &str, facts: &Facts<'_>) -> Result<Account, ApiError> {
        match verify(token, self.shared.keyring()?.as_ref(), facts) {
            Ok(account) => Ok(account),
            Err(refusal) if refusal.key_is_unknown() => {
                self.shared.reread().await;
                verify(token, self.shared.keyring()?.as_ref(), facts).map_err(ApiError::Unauthorized)
            }
            Err(refusal) => Err(ApiError::Unauthorized(refusal)),
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.refresher.abort();
    }
}

impl Shared {
    fn keyring(&self) -> Result<Arc<Keyring>, ApiError> {
        let snapshot = self.snapshot.load();
        if snapshot.read_at.elapsed() > STALE {
            return Err(ApiError::Unavailable(Some("the signing keys cannot be read".into())));
        }
        Ok(Arc::clone(&snapshot.keyring))
    }

    /// Waits until the keys were read from a moment after this call, or until that takes too long.
    async fn reread(&self) {
        let mut finished = self.finished.subscribe();
        let next = self.started.load(Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        // Too late is as good as not at all: the keys at hand decide.
        let _ = timeout(REFRESH, finished.wait_for(|&number| number >= next)).await;
    }

    async fn refresh(self: Arc<Self>) {
        loop {
            // Either way it is time to read.
            let _ = timeout(REFRESH, self.wanted.notified()).await;
            let number = self.started.fetch_add(1, Ordering::SeqCst) + 1;
            let last = self.snapshot.load_full();
            match Snapshot::read(&self.store, Some(&last)).await {
                Ok(snapshot) => self.snapshot.store(Arc::new(snapshot)),
                Err(error) => tracing::warn!(cause = %chain(&error), "the signing keys cannot be read"),
            }
            self.finished.send_replace(number);
            sleep(REFRESH_PAUSE).await;
        }
    }
}

impl Snapshot {
    /// Parses what has changed alone: a parse costs more than a verification.
    async fn read(store: &Store, last: Option<&Self>) -> Result<Self, StoreError> {
        let read_at = Instant::now();
        let rows = store.signing_keys().await?;
        if let Some(last) = last.filter(|last| last.rows == rows) {
            return Ok(Self { keyring: Arc::clone(&last.keyring), rows, read_at });
        }
        let known: HashMap<&str, &SigningKey> = last
            .into_iter()
            .flat_map(|last| last.rows.iter().flatten())
            .map(|row| (row.key_id.as_str(), row))
            .collect();
        let parsed = |row: &SigningKey| {
            let same = known.get(row.key_id.as_str()).filter(|known| known.public_key == row.public_key);
            same.and_then(|_| last?.keyring.get(&row.key_id)).map(|key| key.public_key.clone())
        };
        let keyring = rows.iter().filter_map(usable).filter_map(|row| key(row, parsed(row))).collect();
        Ok(Self { keyring: Arc::new(keyring), rows, read_at })
    }
}

fn usable(row: &Result<SigningKey, UnusableKey>) -> Option<&SigningKey> {
    row.as_ref()
        .inspect_err(|UnusableKey { key_id, reason }| {
            tracing::error!(key_id, reason, "a registered key cannot be used");
        })
        .ok()
}

fn key(row: &SigningKey, parsed: Option<PublicKey>) -> Option<(String, Key)> {
    let SigningKey { key_id, account, algorithm: _, public_key, created: _, revoked } = row;
    match parsed.map_or_else(|| PublicKey::from_pem(public_key), Ok) {
        Ok(public_key) => Some((
            key_id.clone(),
            Key { account: account.clone(), public_key, is_revoked: revoked.is_some() },
        )),
        Err(error) => {
            tracing::error!(key_id, %error, "a registered key cannot be used");
            None
        }
    }
}
