//! Group commit: writes that wait while a transaction commits are committed together in the next one.
//!
//! The queue is bounded, so that a store that cannot keep up says so instead of growing. Each write gets its own outcome
//! after the commit. There is no batching timer: a single write is committed immediately.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    error::StoreError,
    turns,
    types::{Condition, DeleteOutcome, PutOutcome, Record},
    used::{DamagedOutcome, Outcome},
    version::{NewVersion, Version},
};
use crate::{
    clock,
    signature_id::SignatureId,
    telemetry::{StoreMetrics, WriteOutcome},
};

/// How many writes may wait.
pub(super) const QUEUE_WRITES_MAX: usize = 1024;

/// How many writes one transaction takes, unless told otherwise: beyond this, a group gets slower but not cheaper.
pub const GROUP_WRITES_MAX: usize = 128;

/// How long no write must come before an engine does what can wait.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// A write in a queue.
pub(super) struct Write {
    pub account: String,
    pub customer_id: String,
    /// The signature that carries out the write, and must not do so twice.
    pub signature: Option<SignatureId>,
    /// When the write was taken from the queue, in microseconds since the Unix epoch.
    pub timestamp: i64,
    pub change: Change,
}

/// What a write does.
pub(super) enum Change {
    Put { record: Record, condition: Condition, version: Version, slot: Slot<PutOutcome> },
    Delete { if_match: Option<Vec<Version>>, slot: Slot<DeleteOutcome> },
}

/// The place for the outcome of one write. The type ties a write to its kind of outcome.
pub(super) struct Slot<T> {
    outcome: Option<T>,
    /// Whether the outcome is that of an earlier write with the same signature.
    is_repeated: bool,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Outcome> Slot<T> {
    /// Notes the outcome, which is told after the commit.
    pub(super) fn fill(&mut self, outcome: T) {
        (self.outcome, self.is_repeated) = (Some(outcome), false);
    }

    /// Notes the outcome of the first write with the same signature, which is told again.
    pub(super) fn fill_again(&mut self, outcome: T) {
        (self.outcome, self.is_repeated) = (Some(outcome), true);
    }

    /// Notes an outcome that is given as bytes.
    fn read(&mut self, outcome: &[u8], is_repeated: bool) -> Result<(), DamagedOutcome> {
        (self.outcome, self.is_repeated) = (Some(T::from_bytes(outcome)?), is_repeated);
        Ok(())
    }

    /// The caller may be gone.
    fn tell(self, result: Result<(), StoreError>, metrics: &StoreMetrics) {
        let outcome = self.outcome.ok_or_else(|| StoreError::failed("the engine gave no outcome"));
        let told = result.and(outcome);
        metrics.count(match &told {
            Ok(_) if self.is_repeated => WriteOutcome::Replayed,
            Ok(outcome) => outcome.kind(),
            Err(_) => WriteOutcome::Failed,
        });
        drop(self.reply.send(told));
    }
}

impl Write {
    /// The customer's primary key.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.account, &self.customer_id)
    }

    /// Whether the write has deleted or replaced a customer.
    pub(super) fn leaves_garbage(&self) -> bool {
        match &self.change {
            Change::Put { slot, .. } => matches!(slot.outcome, Some(PutOutcome::Updated(_))),
            Change::Delete { slot, .. } => matches!(slot.outcome, Some(DeleteOutcome::Deleted)),
        }
    }

    /// Notes the outcome that was written down, now or, if it is repeated, when the signature was used first.
    pub(super) fn fill(&mut self, outcome: &[u8], is_repeated: bool) -> Result<(), DamagedOutcome> {
        match &mut self.change {
            Change::Put { slot, .. } => slot.read(outcome, is_repeated),
            Change::Delete { slot, .. } => slot.read(outcome, is_repeated),
        }
    }

    fn is_abandoned(&self) -> bool {
        match &self.change {
            Change::Put { slot, .. } => slot.reply.is_closed(),
            Change::Delete { slot, .. } => slot.reply.is_closed(),
        }
    }

    fn tell(self, result: Result<(), StoreError>, metrics: &StoreMetrics) {
        match self.change {
            Change::Put { slot, .. } => slot.tell(result, metrics),
            Change::Delete { slot, .. } => slot.tell(result, metrics),
        }
    }
}

/// What an engine does with a group.
pub(super) trait Engine {
    /// Commits the writes as one transaction, and fills the slot of each. All of them are durable afterwards, or none
    /// is. The engine may reorder the writes of different customers.
    async fn commit(&mut self, group: &mut [Write]) -> Result<(), StoreError>;

    /// Does a small part of what can wait until no write comes. Returns whether there is more of it.
    async fn tidy_up(&mut self) -> bool {
        false
    }

    /// Shows that writes can be made: asked after one could not, until one can.
    async fn probe(&mut self) -> Result<(), StoreError>;
}

/// Since when nothing was committed although it was tried.
#[derive(Default)]
struct Stall(Mutex<Option<Instant>>);

impl Stall {
    fn begin(&self) {
        self.since().get_or_insert_with(Instant::now);
    }

    fn end(&self) {
        *self.since() = None;
    }

    fn time(&self) -> Duration {
        self.since().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits a group and tells each caller. This is the one policy for failures:
///
/// - If the database is not available, all callers are told at once, and nothing is tried again.
/// - If it refused the group, each write is tried alone, so that a bad write does not harm the others.
async fn settle(engine: &mut impl Engine, group: Vec<Write>, metrics: &StoreMetrics, stall: &Stall) {
    let mut attempts = VecDeque::from([group]);
    while let Some(mut writes) = attempts.pop_front() {
        let started = Instant::now();
        stall.begin();
        let committed = engine.commit(&mut writes).await;
        metrics.note_commit(writes.len(), started.elapsed());
        match committed {
            Ok(()) => {
                stall.end();
                for write in writes {
                    write.tell(Ok(()), metrics);
                }
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Busy)) => {
                for write in writes.into_iter().chain(attempts.drain(..).flatten()) {
                    write.tell(Err(error.duplicate()), metrics);
                }
            }
            Err(error @ StoreError::Failed(_)) => match writes.pop() {
                Some(write) if writes.is_empty() => write.tell(Err(error), metrics),
                last => attempts.extend(writes.into_iter().chain(last).map(|write| vec![write])),
            },
        }
    }
}

/// The sending side of the queue: one lane or several. All writes of one customer go through the same lane, in the order
/// in which they came.
#[derive(Clone)]
pub(super) struct Queue {
    lanes: Arc<[turns::Sender<Write>]>,
    stall: Arc<Stall>,
    metrics: StoreMetrics,
}

impl Queue {
    /// A transaction takes at most `group_writes_max` writes.
    pub(super) fn with_lanes<const LANES: usize>(
        group_writes_max: usize,
        metrics: &StoreMetrics,
    ) -> (Self, [Lane; LANES]) {
        let (stamps, stall) = (Arc::new(Stamps::default()), Arc::new(Stall::default()));
        let lanes =
            [(); LANES].map(|()| turns::channel(QUEUE_WRITES_MAX / LANES, |write: &Write| &write.account));
        let mut senders = Vec::with_capacity(LANES);
        let lane = |writes| Lane {
            writes,
            stamps: Arc::clone(&stamps),
            stall: Arc::clone(&stall),
            group_writes_max,
            metrics: metrics.clone(),
        };
        let lanes = lanes.map(|(sender, writes)| {
            senders.push(sender);
            lane(writes)
        });
        (Self { lanes: senders.into(), stall, metrics: metrics.clone() }, lanes)
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(turns::Sender::len).sum()
    }

    /// How long nothing was committed although it was tried.
    pub(super) fn stall_time(&self) -> Duration {
        self.stall.time()
    }

    pub(super) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// Puts a write into the queue, and waits for its outcome.
    pub(super) async fn put(
        &self,
        key: (String, String),
        new: NewVersion,
        record: Record,
        condition: Condition,
    ) -> Result<PutOutcome, StoreError> {
        let version = new.version();
        self.submit(key, new.signature(), |slot| Change::Put { record, condition, version, slot }).await
    }

    /// Puts a delete into the queue, and waits for its outcome.
    pub(super) async fn delete(
        &self,
        key: (String, String),
        signature: Option<SignatureId>,
        if_match: Option<Vec<Version>>,
    ) -> Result<DeleteOutcome, StoreError> {
        self.submit(key, signature, |slot| Change::Delete { if_match, slot }).await
    }

    async fn submit<T: Outcome>(
        &self,
        (account, customer_id): (String, String),
        signature: Option<SignatureId>,
        change: impl FnOnce(Slot<T>) -> Change,
    ) -> Result<T, StoreError> {
        let (reply, outcome) = oneshot::channel();
        let change = change(Slot { outcome: None, is_repeated: false, reply });
        let write = Write { account, customer_id, signature, timestamp: 0, change };
        if let Err(refused) = self.lane(&write).send(write).await {
            // It may be this one.
            refused.tell(Err(StoreError::Busy), &self.metrics);
        }
        outcome.await.map_err(|_| StoreError::unavailable("the writer has ended"))?
    }

    fn lane(&self, write: &Write) -> &turns::Sender<Write> {
        if let [only] = &*self.lanes {
            return only;
        }
        let mut hasher = DefaultHasher::new();
        write.key().hash(&mut hasher);
        let lanes = self.lanes.len() as u64;
        // Smaller than the number of lanes, so it fits whatever an index is.
        &self.lanes[usize::try_from(hasher.finish() % lanes).unwrap_or_default()]
    }
}

/// The receiving side of one lane.
pub(super) struct Lane {
    writes: turns::Receiver<Write>,
    stamps: Arc<Stamps>,
    stall: Arc<Stall>,
    group_writes_max: usize,
    metrics: StoreMetrics,
}

impl Lane {
    /// No write gets a timestamp that is not after this one.
    pub(super) fn start_after(&self, timestamp: i64) {
        self.stamps.0.fetch_max(timestamp, Ordering::Relaxed);
    }

    /// Commits group after group, until every [`Queue`] is gone and its last write is made.
    pub(super) async fn run(mut self, mut engine: impl Engine) {
        let mut pause = IDLE_PAUSE;
        loop {
            let gathered = timeout(pause, self.writes.gather(self.group_writes_max)).await;
            let Ok(mut group) = gathered else {
                pause = if self.use_pause(&mut engine).await { Duration::ZERO } else { IDLE_PAUSE };
                continue;
            };
            pause = IDLE_PAUSE;
            if group.is_empty() {
                return;
            }
            // A caller that gave up was told that the write may not have been made; later it must not be made any more.
            group.retain(|write| {
                let is_abandoned = write.is_abandoned();
                if is_abandoned {
                    self.metrics.count(WriteOutcome::Failed);
                }
                !is_abandoned
            });
            for write in &mut group {
                write.timestamp = self.stamps.next();
            }
            if !group.is_empty() {
                settle(&mut engine, group, &self.metrics, &self.stall).await;
            }
        }
    }

    /// Returns whether there is more to do.
    async fn use_pause(&self, engine: &mut impl Engine) -> bool {
        if self.stall.time() < IDLE_PAUSE {
            return engine.tidy_up().await;
        }
        if engine.probe().await.is_ok() {
            self.stall.end();
        }
        false
    }
}

/// Timestamps that never repeat and never run backwards, even if the clock does.
#[derive(Default)]
struct Stamps(AtomicI64);

impl Stamps {
    fn next(&self) -> i64 {
        let now = clock::now().timestamp_micros();
        let next = |last: i64| now.max(last + 1);
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Answers the attempts one after the other with what is written, and notes how large each was.
    struct Script(Vec<Result<(), StoreError>>, Arc<std::sync::Mutex<Vec<usize>>>);

    impl Engine for Script {
        async fn commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
            self.1.lock().unwrap().push(group.len());
            for write in group {
                match &mut write.change {
                    Change::Put { version, slot, .. } => slot.fill(PutOutcome::Created(*version)),
                    Change::Delete { slot, .. } => slot.fill(DeleteOutcome::Deleted),
                }
            }
            self.0.remove(0)
        }

        async fn probe(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Submits three puts and a delete at once; tells their outcomes, and the sizes of the attempts.
    async fn outcomes(answers: Vec<Result<(), StoreError>>) -> (Vec<&'static str>, Vec<usize>) {
        let (queue, [lane]) = Queue::with_lanes(GROUP_WRITES_MAX, &StoreMetrics::new().unwrap());
        let (sizes, key) = (Arc::default(), |id: usize| ("acme".to_owned(), id.to_string()));
        let record = || Record { bytes: Vec::new(), sealed_by: None };
        let put = |id| queue.put(key(id), NewVersion::of(None), record(), Condition::Always);
        let puts = join_all((0..3).map(put));
        let writes = async {
            let (puts, delete) = tokio::join!(puts, queue.delete(key(3), None, None));
            puts.into_iter().map(|put| put.map(drop)).chain([delete.map(drop)]).collect::<Vec<_>>()
        };
        let engine = Script(answers, Arc::clone(&sizes));
        let writes = tokio::select! {
            writes = writes => writes,
            () = lane.run(engine) => Vec::new(),
        };
        let outcome = |write: &Result<(), StoreError>| match write {
            Ok(()) => "written",
            Err(StoreError::Busy) => "busy",
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(StoreError::Failed(_)) => "failed",
        };
        let sizes = sizes.lock().unwrap().clone();
        (writes.iter().map(outcome).collect(), sizes)
    }

    #[tokio::test]
    async fn a_group_that_is_committed_is_told_as_written() {
        assert_eq!(outcomes(vec![Ok(())]).await, (vec!["written"; 4], vec![4]));
    }

    #[tokio::test]
    async fn if_the_database_is_not_available_all_are_told_at_once() {
        let gone = || Err(StoreError::unavailable("gone"));
        assert_eq!(outcomes(vec![gone()]).await, (vec!["unavailable"; 4], vec![4]));
        let (failed, alone) = (|| Err(StoreError::failed("refused")), vec![4, 1, 1]);
        let later = outcomes(vec![failed(), Ok(()), gone()]).await;
        assert_eq!(later, (vec!["written", "unavailable", "unavailable", "unavailable"], alone));
    }

    #[tokio::test]
    async fn if_the_database_refuses_a_group_each_write_is_tried_alone() {
        let failed = || Err(StoreError::failed("refused"));
        let told = outcomes(vec![failed(), Ok(()), failed(), Ok(()), Ok(())]).await;
        assert_eq!(told, (vec!["written", "failed", "written", "written"], vec![4, 1, 1, 1, 1]));
    }
}
