//! The life of the seal keys: from the start of a process to its end they follow the file and the database.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::{
    error::SealError,
    records::{Records, Shared},
    sealing::{self, Sealing},
};
use crate::{files::Watch, store::Store, telemetry::Outage};

/// How often the database is asked whether plain records are refused, and the note is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// The secret that says that plain records are refused.
const SEAL_ONLY: &str = "seal-only";

impl Records {
    /// Gets ready to read the records of a database. The keys must open everything that the database knows.
    pub async fn start(store: &Store, file: Option<PathBuf>, seal_only: bool) -> Result<Self, SealError> {
        let file = file.map(|file| (file.clone(), Watch::new(vec![file])));
        let keys = file.as_ref().map(|(file, _)| sealing::read(file)).transpose()?.map(Arc::new);
        sealing::check(store, keys.as_deref()).await?;
        let records = Self(Arc::new(Shared {
            file,
            sealing: ArcSwap::from_pointee(Sealing { keys, note: None }),
            refuses_plain: AtomicBool::new(seal_only),
        }));
        records.read_seal_only(store).await?;
        Ok(records)
    }

    /// Gets ready to write records: tells the database by which key. One without customers remembers that it has no plain
    /// records.
    pub async fn begin(&self, store: &Store) -> Result<(), SealError> {
        let keys = self.0.sealing.load().keys.clone();
        let is_new = keys.is_some() && store.seal_keys().await?.is_empty();
        let sealing = Sealing::begin(store, keys).await?;
        let is_plain = || async { Ok::<_, SealError>(store.sealers().await?.contains(&None)) };
        if is_new && store.scan(None, 1).await?.is_empty() && !is_plain().await? {
            self.refuse_plain(store).await?;
        }
        self.0.sealing.store(Arc::new(sealing));
        Ok(())
    }

    /// Keeps the right to write records, for as long as this is called at least every few seconds.
    pub async fn keep(&self, store: &Store) -> Result<(), SealError> {
        match &self.0.sealing.load_full().note {
            Some(note) => note.keep(store).await,
            None => Ok(()),
        }
    }

    /// Nothing more is written.
    pub async fn end(&self, store: &Store) {
        if let Some(note) = &self.0.sealing.load_full().note {
            note.end(store).await;
        }
    }

    /// Refuses plain records from now on. Other processes follow within seconds.
    pub async fn refuse_plain(&self, store: &Store) -> Result<(), SealError> {
        store.secret(SEAL_ONLY, vec![1]).await?;
        self.0.refuses_plain.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes over each change of the file and of the database, while the service runs.
    pub async fn follow(&self, store: &Store) -> Infallible {
        tokio::select! {
            never = self.follow_file(store) => never,
            never = self.follow_database(store) => never,
        }
    }

    async fn follow_file(&self, store: &Store) -> Infallible {
        let Some((file, watch)) = &self.0.file else { return std::future::pending().await };
        watch.follow("the seal keys", async || self.take_over(store, file).await).await
    }

    async fn take_over(&self, store: &Store, file: &Path) -> Result<(), SealError> {
        let keys = sealing::read(file)?;
        sealing::check(store, Some(&keys)).await?;
        let sealing = Sealing::begin(store, Some(Arc::new(keys))).await?;
        if let Some(note) = &self.0.sealing.swap(Arc::new(sealing)).note {
            note.retire(store).await;
        }
        Ok(())
    }

    async fn follow_database(&self, store: &Store) -> Infallible {
        let outage = Outage::new();
        loop {
            sleep(PAUSE).await;
            let kept = self.keep(store).await;
            outage.note(
                &kept.and(self.read_seal_only(store).await),
                "the database is not told by which key this process seals",
                "the database is told again by which key this process seals",
            );
        }
    }

    /// Takes over that plain records are refused. That is for ever.
    async fn read_seal_only(&self, store: &Store) -> Result<(), SealError> {
        let is_known = self.0.refuses_plain.load(Ordering::Relaxed) || !self.are_sealed();
        if !is_known && store.known_secret(SEAL_ONLY).await?.is_some() {
            self.0.refuses_plain.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
