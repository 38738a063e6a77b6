//! Group commit: writes that wait while a transaction commits go into the next one together.
//!
//! The queue is bounded, so that a store that cannot keep up says so instead of growing. A write that was taken gets
//! its own outcome after the commit, and a lone one waits for nobody.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use tokio::sync::{mpsc, oneshot};

use super::{Condition, Delete, Put, StoreError, Version, row::NewCustomer};
use crate::clock;

/// How many writes may wait.
pub(super) const QUEUE_WRITES_MAX: usize = 1024;

/// How many writes one transaction takes, unless told otherwise: beyond this, a group grows slower but not cheaper.
pub const GROUP_WRITES_MAX: usize = 128;

/// A write, and where its outcome goes.
pub(super) enum Write {
    Put { row: Box<NewCustomer>, condition: Condition, reply: Reply<Put> },
    Delete { account: String, customer_id: String, if_match: Option<Vec<Version>>, reply: Reply<Delete> },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A write's outcome, to be told once it is durable.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Put(Put),
    Delete(Delete),
}

impl Write {
    /// The customer's primary key.
    pub(super) fn key(&self) -> (&str, &str) {
        match self {
            Self::Put { row, .. } => (&row.account, &row.customer_id),
            Self::Delete { account, customer_id, .. } => (account, customer_id),
        }
    }

    /// Nobody may be waiting any more; the write is made all the same.
    pub(super) fn tell(self, outcome: Result<Outcome, StoreError>) {
        match (self, outcome) {
            (Self::Put { reply, .. }, Ok(Outcome::Put(put))) => drop(reply.send(Ok(put))),
            (Self::Delete { reply, .. }, Ok(Outcome::Delete(delete))) => drop(reply.send(Ok(delete))),
            (Self::Put { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Self::Delete { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Self::Put { .. }, Ok(Outcome::Delete(_))) | (Self::Delete { .. }, Ok(Outcome::Put(_))) => {}
        }
    }
}

/// The waiting writes, from the side that adds to them: one lane or several, and all writes of one customer in the
/// same one, in the order in which they came.
#[derive(Clone)]
pub(super) struct Queue(Arc<[mpsc::Sender<Write>]>);

impl Queue {
    pub(super) fn with_lanes<const LANES: usize>(group_writes_max: usize) -> (Self, [Groups; LANES]) {
        let lanes = [(); LANES].map(|()| mpsc::channel(QUEUE_WRITES_MAX / LANES));
        let senders = lanes.iter().map(|(sender, _)| sender.clone()).collect();
        (Self(senders), lanes.map(|(_, writes)| Groups { writes, group_writes_max }))
    }

    /// Waits for the outcome of one write.
    pub(super) async fn submit<T>(&self, write: impl FnOnce(Reply<T>) -> Write) -> Result<T, StoreError> {
        let (reply, outcome) = oneshot::channel();
        let write = write(reply);
        self.lane(&write).try_send(write).map_err(|_| StoreError::Busy)?;
        outcome.await.map_err(|_| StoreError::failed("the writer is gone"))?
    }

    fn lane(&self, write: &Write) -> &mpsc::Sender<Write> {
        if let [only] = &*self.0 {
            return only;
        }
        let mut hasher = DefaultHasher::new();
        write.key().hash(&mut hasher);
        let lanes = self.0.len() as u64;
        // Smaller than the number of lanes, so it fits whatever an index is.
        &self.0[usize::try_from(hasher.finish() % lanes).unwrap_or_default()]
    }
}

/// The waiting writes of a lane, from the side that carries them out.
pub(super) struct Groups {
    writes: mpsc::Receiver<Write>,
    group_writes_max: usize,
}

impl Groups {
    /// Waits for a write, and takes what waits with it; nothing once nobody is left who could ask for more.
    pub(super) async fn next(&mut self) -> Vec<Write> {
        let mut group = Vec::new();
        self.writes.recv_many(&mut group, self.group_writes_max).await;
        group
    }

    /// The same for an engine with a thread of its own.
    pub(super) fn blocking_next(&mut self) -> Vec<Write> {
        blocking_gather(&mut self.writes, self.group_writes_max)
    }
}

/// Waits for an item, and takes what waits with it; nothing once nobody is left who could add one.
pub(super) fn blocking_gather<T>(items: &mut mpsc::Receiver<T>, max: usize) -> Vec<T> {
    let mut group: Vec<T> = items.blocking_recv().into_iter().collect();
    // Where threads share a core, the first of several items wakes this thread before the others are in the queue: let
    // those who add them go first. Where a core is free, this takes no time.
    thread::yield_now();
    while group.len() < max
        && let Ok(item) = items.try_recv()
    {
        group.push(item);
    }
    group
}

/// Moments that never repeat and never run backwards while the process lives, whatever the clock does.
#[derive(Default)]
pub(super) struct Stamps(AtomicI64);

impl Stamps {
    pub(super) fn next(&self) -> i64 {
        let now = clock::now().timestamp_micros();
        let next = |last: i64| now.max(last + 1);
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }
}
