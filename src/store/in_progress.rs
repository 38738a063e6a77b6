//! Which customers the lanes are writing, so that the writes of one customer are made one after the other.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
    sync::{Arc, Mutex},
};

use super::write::Write;
use crate::lock::lock;

/// What the lanes are writing, by the lane's number. Clones share it.
#[derive(Clone, Default)]
pub(super) struct InProgress(Arc<Mutex<HashMap<usize, Customers>>>);

/// The customers that a lane is writing, and the writes that came for them since.
struct Customers {
    /// Hashes of their keys. Two customers may have the same; then one waits without need.
    hashes: HashSet<u64>,
    waiting: Vec<Write>,
}

fn hash(write: &Write) -> u64 {
    let mut hasher = DefaultHasher::new();
    write.key().hash(&mut hasher);
    hasher.finish()
}

impl InProgress {
    /// Begins these writes on a lane that has made all others. Returns those that it may make. The others wait for the lanes
    /// that are writing their customers.
    pub(super) fn begin(&self, lane: usize, writes: Vec<Write>) -> Vec<Write> {
        let mut lanes = lock(&self.0);
        let (mut hashes, mut free) = (HashSet::new(), Vec::with_capacity(writes.len()));
        for write in writes {
            let hash = hash(&write);
            if let Some(other) = lanes.values_mut().find(|other| other.hashes.contains(&hash)) {
                other.waiting.push(write);
            } else {
                hashes.insert(hash);
                free.push(write);
            }
        }
        lanes.insert(lane, Customers { hashes, waiting: Vec::new() });
        free
    }

    /// The writes that have waited for this lane. If there are none, it has made all.
    pub(super) fn next(&self, lane: usize) -> Vec<Write> {
        let mut lanes = lock(&self.0);
        let waiting =
            lanes.get_mut(&lane).map(|customers| mem::take(&mut customers.waiting)).unwrap_or_default();
        if waiting.is_empty() {
            lanes.remove(&lane);
        }
        waiting
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).values().map(|customers| customers.waiting.len()).sum()
    }
}
