//! The registered keys, kept up to date: read again every second, and at once when a token names an unknown key. When they
//! cannot be read, they are read again soon, because nobody gets in with keys that are too old.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    lock::lock,
    signature::{Facts, Key, Keyring, PublicKey, Refusal, Verified, verify},
    store::{SigningKey, Store, StoreError, UnusableKey},
    telemetry::Outage,
};

/// How often the keys are read: the longest that a revoked key is still accepted while the database answers.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// How old the keys may be while the database does not answer. After that, every signature is refused.
const AGE_MAX: Duration = Duration::from_secs(5);

/// The shortest time between two reads, however many tokens name unknown keys.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// The shortest time between two notes in the database of which keys were used.
const USES_PAUSE: Duration = Duration::from_secs(60);

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// The registered keys of a store. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
    /// The number of the last read that has finished. The sender lives in the refresher.
    finished: watch::Receiver<u64>,
    /// The task that reads the keys, and notes their uses. It ends with the last clone of the registry.
    _refresher: Arc<JoinSet<()>>,
}

/// Why a signature is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The signature does not prove who sent the request.
    #[error(transparent)]
    Refused(Refusal),
    /// The keys are too old to decide: they could not be read for 5 seconds.
    #[error("the signing keys cannot be read")]
    Unavailable,
}

struct Shared {
    store: Store,
    loaded: ArcSwap<Loaded>,
    wanted: Notify,
    /// The number of the last read that has started.
    started: AtomicU64,
    /// By the ids of the keys.
    uses: Mutex<HashMap<String, LastUse>>,
    were_used: Notify,
    /// Whether the uses cannot be written.
    outage: Outage,
}

/// When a key was last used, and what the database knows of that, in days since the Unix epoch.
struct LastUse {
    day: i64,
    written: Option<i64>,
}

/// The keys as they were read from the store.
struct Loaded {
    keyring: Arc<Keyring>,
    rows: Vec<Result<SigningKey, UnusableKey>>,
    read_at: Instant,
}

impl Registry {
    /// Reads the keys, and keeps reading them until the last clone is dropped. Must be called on a runtime's thread.
    pub async fn start(store: Store) -> Result<Self, StoreError> {
        let loaded = ArcSwap::from_pointee(Loaded::read(&store, None).await?);
        let shared = Arc::new(Shared {
            store,
            loaded,
            wanted: Notify::new(),
            started: AtomicU64::new(0),
            uses: Mutex::default(),
            were_used: Notify::new(),
            outage: Outage::new(),
        });
        let (sender, finished) = watch::channel(0);
        let tasks = (refresh(Arc::clone(&shared), sender), note_uses(Arc::clone(&shared)));
        let mut refresher = JoinSet::new();
        refresher.spawn(async { tokio::join!(tasks.0, tasks.1).0 });
        Ok(Self { shared, finished, _refresher: Arc::new(refresher) })
    }

    /// Proves whose key signed exactly this request.
    pub async fn verify(&self, token: &str, facts: &Facts<'_>) -> Result<Verified, RegistryError> {
        let mut verified = verify(token, self.shared.keyring()?.as_ref(), facts);
        if verified.as_ref().is_err_and(Refusal::key_is_unknown) {
            self.read_again().await;
            verified = verify(token, self.shared.keyring()?.as_ref(), facts);
        }
        let verified = verified.map_err(RegistryError::Refused)?;
        self.shared.note_use(&verified.key_id, facts.now.div_euclid(DAY_SECONDS));
        Ok(verified)
    }

    /// Writes down when the keys were last used, as far as the database does not know it yet.
    pub async fn write_uses(&self) {
        self.shared.write_uses().await;
    }

    /// Checks that the keys are fresh enough to decide.
    pub fn check(&self) -> Result<(), RegistryError> {
        self.shared.keyring().map(drop)
    }

    /// How long ago the keys were read.
    pub fn age(&self) -> Duration {
        self.shared.loaded.load().read_at.elapsed()
    }

    /// Waits until the keys are no longer refreshed, which only happens if the refresher fails. Then all signatures are
    /// soon refused, and the process should end.
    pub async fn ended(&self) {
        // No number is ever accepted: the wait ends when the refresher drops the sender.
        let _ = self.finished.clone().wait_for(|_| false).await;
    }

    /// Waits for a read of the keys that starts after this call, but not longer than [`REFRESH_INTERVAL`].
    async fn read_again(&self) {
        let mut finished = self.finished.clone();
        let next = self.shared.started.load(Ordering::SeqCst) + 1;
        self.shared.wanted.notify_one();
        // After a timeout, the keys of the last read decide.
        let _ = timeout(REFRESH_INTERVAL, finished.wait_for(|&number| number >= next)).await;
    }
}

async fn refresh(shared: Arc<Shared>, finished: watch::Sender<u64>) {
    let (mut interval, outage) = (REFRESH_INTERVAL, Outage::new());
    loop {
        // After a timeout, it is also time to read.
        let _ = timeout(interval, shared.wanted.notified()).await;
        let number = shared.started.fetch_add(1, Ordering::SeqCst) + 1;
        let last = shared.loaded.load_full();
        let loaded = Loaded::read(&shared.store, Some(&last)).await;
        outage.note(&loaded, "the signing keys cannot be read", "the signing keys are read again");
        interval = if loaded.is_ok() { REFRESH_INTERVAL } else { REFRESH_PAUSE };
        if let Ok(loaded) = loaded {
            shared.loaded.store(Arc::new(loaded));
        }
        finished.send_replace(number);
        sleep(REFRESH_PAUSE).await;
    }
}

/// Writes down soon that a key was used, and never on the way of a request.
async fn note_uses(shared: Arc<Shared>) -> Infallible {
    loop {
        shared.were_used.notified().await;
        shared.write_uses().await;
        sleep(USES_PAUSE).await;
    }
}

impl Shared {
    fn note_use(&self, key_id: &str, day: i64) {
        let mut uses = lock(&self.uses);
        match uses.get_mut(key_id) {
            Some(last) if last.day >= day => return,
            Some(last) => last.day = day,
            None => drop(uses.insert(key_id.to_owned(), LastUse { day, written: None })),
        }
        self.were_used.notify_one();
    }

    async fn write_uses(&self) {
        let is_new = |(_, last): &(&String, &LastUse)| last.written != Some(last.day);
        let copy = |(key_id, last): (&String, &LastUse)| (key_id.clone(), last.day);
        let new: Vec<_> = lock(&self.uses).iter().filter(is_new).map(copy).collect();
        for (key_id, day) in new {
            let noted = self.store.note_key_use(&key_id, day).await;
            let (fails, is_over) =
                ("the last uses of keys cannot be written", "the last uses of keys are written again");
            self.outage.note(&noted, fails, is_over);
            if noted.is_err() {
                self.were_used.notify_one();
                return;
            }
            if let Some(last) = lock(&self.uses).get_mut(&key_id) {
                last.written = Some(day);
            }
        }
    }

    fn keyring(&self) -> Result<Arc<Keyring>, RegistryError> {
        let loaded = self.loaded.load();
        if loaded.read_at.elapsed() > AGE_MAX {
            return Err(RegistryError::Unavailable);
        }
        Ok(Arc::clone(&loaded.keyring))
    }
}

impl Loaded {
    /// Parses only the keys that have changed: a parse costs more than a verification.
    async fn read(store: &Store, last: Option<&Self>) -> Result<Self, StoreError> {
        let read_at = Instant::now();
        let rows = store.signing_keys().await?;
        if let Some(last) = last.filter(|last| last.rows == rows) {
            return Ok(Self { keyring: Arc::clone(&last.keyring), rows, read_at });
        }
        let parsed = |row: &SigningKey| {
            let known = &last?.keyring.get(&row.key_id)?.public_key;
            (known.to_pem() == row.public_key).then(|| known.clone())
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
    let SigningKey { key_id, account, algorithm: _, public_key, created: _, scope, expires: _, revoked } =
        row;
    match parsed.map_or_else(|| PublicKey::from_pem(public_key), Ok) {
        Ok(public_key) => Some((
            key_id.clone(),
            Key {
                account: account.clone(),
                public_key,
                scope: *scope,
                expires_at: row.expires_at(),
                is_revoked: revoked.is_some(),
            },
        )),
        Err(error) => {
            tracing::error!(key_id, %error, "a registered key cannot be used");
            None
        }
    }
}
