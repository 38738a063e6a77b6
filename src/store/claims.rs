//! Which customers the lanes are writing, so that the writes of one customer are made one after the other.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::write::Write;

/// The claims of the lanes, by the lane's number. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<usize, Claim>>>);

struct Claim {
    /// Hashes of the customers' keys. Two customers may have the same; then one waits without need.
    customers: HashSet<u64>,
    waiting: Vec<Write>,
}

fn hash(write: &Write) -> u64 {
    let mut hasher = DefaultHasher::new();
    write.key().hash(&mut hasher);
    hasher.finish()
}

impl Claims {
    /// Claims the customers of these writes for a lane that has none. Returns the writes that it may make. The others wait for
    /// the lanes that have claimed their customers.
    pub(super) fn claim(&self, lane: usize, writes: Vec<Write>) -> Vec<Write> {
        let mut claims = self.claims();
        let (mut customers, mut free) = (HashSet::new(), Vec::with_capacity(writes.len()));
        for write in writes {
            let hash = hash(&write);
            if let Some(claim) = claims.values_mut().find(|claim| claim.customers.contains(&hash)) {
                claim.waiting.push(write);
            } else {
                customers.insert(hash);
                free.push(write);
            }
        }
        claims.insert(lane, Claim { customers, waiting: Vec::new() });
        free
    }

    /// The writes that have waited for this lane. If there are none, it gives up its claim.
    pub(super) fn next(&self, lane: usize) -> Vec<Write> {
        let mut claims = self.claims();
        let waiting = claims.get_mut(&lane).map(|claim| mem::take(&mut claim.waiting)).unwrap_or_default();
        if waiting.is_empty() {
            claims.remove(&lane);
        }
        waiting
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.claims().values().map(|claim| claim.waiting.len()).sum()
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<usize, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
