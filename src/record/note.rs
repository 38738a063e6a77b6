//! The note in the database that this process may write records that are sealed by one key, or plain ones.
//!
//! `seal apply` forgets a key only when nobody is noted for it. So no record may be written after the note has run out,
//! and the process stops to seal some time before: a record that was sealed until then may still be on its way.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::error::SealError;
use crate::{lock::lock, random, store::Store};

/// How long a note holds after its last renewal.
const NOTE_SECONDS: u32 = 60;

/// How long a record may take from the seal to its commit: the time for an answer, and a group that has begun.
const ON_ITS_WAY_SECONDS: u32 = 20;

/// How often a note is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// One process that uses one key.
pub(super) struct Note {
    sealer: String,
    key_id: Option<String>,
    /// `None` once the database does not know the key any more.
    renewed: Mutex<Option<Instant>>,
}

impl Note {
    /// Must be made before the first record is sealed by this key. The database must know the key.
    pub(super) async fn begin(store: &Store, key_id: Option<String>) -> Result<Self, SealError> {
        let sealer = random::uuid().simple().to_string();
        let note = Self { sealer, key_id, renewed: Mutex::default() };
        note.renew(store).await?;
        Ok(note)
    }

    async fn renew(&self, store: &Store) -> Result<(), SealError> {
        let now = Instant::now();
        let is_known = store.note_sealer(&self.sealer, self.key_id.as_deref(), NOTE_SECONDS).await?;
        *lock(&self.renewed) = is_known.then_some(now);
        if is_known { Ok(()) } else { Err(SealError::Replaced(self.key_id.clone().unwrap_or_default())) }
    }

    /// Renews the note if it is time to.
    pub(super) async fn keep(&self, store: &Store) -> Result<(), SealError> {
        if self.is_younger_than(RENEWAL) { Ok(()) } else { self.renew(store).await }
    }

    /// Whether a record that is sealed now is committed before the note runs out.
    pub(super) fn holds(&self) -> bool {
        self.is_younger_than(Duration::from_secs((NOTE_SECONDS - ON_ITS_WAY_SECONDS).into()))
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        let renewed = *lock(&self.renewed);
        renewed.is_some_and(|renewed| renewed.elapsed() < age)
    }

    /// No record is sealed by this note any more. It runs out when the last ones have arrived.
    pub(super) async fn retire(&self, store: &Store) {
        self.cut(store, ON_ITS_WAY_SECONDS).await;
    }

    /// Nothing more is written by this note.
    pub(super) async fn end(&self, store: &Store) {
        self.cut(store, 0).await;
    }

    /// If that fails, the note runs out a little later.
    async fn cut(&self, store: &Store, seconds: u32) {
        drop(store.note_sealer(&self.sealer, self.key_id.as_deref(), seconds).await);
    }
}
