//! Group commit: writes that wait while a transaction commits are committed together in the next one.
//!
//! The queue is bounded, so that a store that cannot keep up says so instead of growing. Each write gets its own outcome
//! after the commit. There is no batching timer: a single write is committed immediately.

use std::{
    array,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Mutex as Turn, time::timeout};

use super::{
    claims::Claims,
    error::StoreError,
    turns,
    types::{Condition, DeleteOutcome, PutOutcome, Record},
    used::Outcome,
    version::{NewVersion, Version},
    write::{Change, Slot, Write, tell_committed},
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

/// How many writes a lane begins with at once if another lane can take those that come next: then the database works while
/// more requests are verified.
const ENOUGH_WRITES: usize = 24;

/// How long no write must come before an engine does what can wait.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

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
                tell_committed(writes, metrics);
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Busy)) => {
                for write in writes.into_iter().chain(attempts.drain(..).flatten()) {
                    write.fail(error.duplicate(), metrics);
                }
            }
            Err(error @ StoreError::Failed(_)) => match writes.pop() {
                Some(write) if writes.is_empty() => write.fail(error, metrics),
                last => attempts.extend(writes.into_iter().chain(last).map(|write| vec![write])),
            },
        }
    }
}

/// The sending side of the queue.
#[derive(Clone)]
pub(super) struct Queue {
    writes: Arc<turns::Sender<Write>>,
    claims: Claims,
    stall: Arc<Stall>,
    metrics: StoreMetrics,
}

impl Queue {
    /// A queue, and those that take groups from it in turn. A transaction takes at most `group_writes_max` writes.
    pub(super) fn with_lanes<const LANES: usize>(
        group_writes_max: usize,
        metrics: &StoreMetrics,
    ) -> (Self, [Lane; LANES]) {
        // One lane alone is busy until it has committed, and then takes what has come.
        let enough = if LANES == 1 { group_writes_max } else { ENOUGH_WRITES.min(group_writes_max) };
        let (sender, writes) = turns::channel(QUEUE_WRITES_MAX, enough, |write: &Write| &write.account);
        let (writes, stamps) = (Arc::new(Turn::new(writes)), Arc::new(Stamps::default()));
        let (claims, stall) = (Claims::default(), Arc::new(Stall::default()));
        let lanes = array::from_fn(|number| Lane {
            number,
            writes: Arc::clone(&writes),
            claims: claims.clone(),
            stamps: Arc::clone(&stamps),
            stall: Arc::clone(&stall),
            group_writes_max,
            metrics: metrics.clone(),
        });
        (Self { writes: Arc::new(sender), claims, stall, metrics: metrics.clone() }, lanes)
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.writes.len() + self.claims.len()
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

    async fn submit<T: Outcome + Send + 'static>(
        &self,
        key: (String, String),
        signature: Option<SignatureId>,
        change: impl FnOnce(Slot<T>) -> Change,
    ) -> Result<T, StoreError> {
        let (slot, outcome) = Slot::new();
        let write = Write::new(key, signature, change(slot));
        if let Err(refused) = self.writes.send(write).await {
            // It may be this one.
            refused.fail(StoreError::Busy, &self.metrics);
        }
        outcome.receive().await.ok_or_else(|| StoreError::unavailable("the writer has ended"))?
    }
}

/// Takes groups of writes, in turn with the other lanes: one group fills up while others commit.
pub(super) struct Lane {
    number: usize,
    writes: Arc<Turn<turns::Receiver<Write>>>,
    claims: Claims,
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
    pub(super) async fn run(self, mut engine: impl Engine) {
        let mut pause = IDLE_PAUSE;
        loop {
            let mut turn = self.writes.lock().await;
            let Ok(group) = timeout(pause, turn.gather(self.group_writes_max)).await else {
                drop(turn);
                pause = if self.use_pause(&mut engine).await { Duration::ZERO } else { IDLE_PAUSE };
                continue;
            };
            pause = IDLE_PAUSE;
            if group.is_empty() {
                return;
            }
            let mut group = self.claims.claim(self.number, group);
            drop(turn);
            while !group.is_empty() {
                let later = group.split_off(group.len().min(self.group_writes_max));
                self.settle(&mut engine, group).await;
                group = if later.is_empty() { self.claims.next(self.number) } else { later };
            }
        }
    }

    /// Commits a group and tells each caller.
    async fn settle(&self, engine: &mut impl Engine, mut group: Vec<Write>) {
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
            settle(engine, group, &self.metrics, &self.stall).await;
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
    use futures_util::{FutureExt as _, future::join_all, poll};

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
    async fn a_caller_that_is_given_up_does_not_keep_the_others_of_its_thread_from_their_outcomes() {
        for given_up in [[true, false, false], [false, true, false], [false, false, true]] {
            let (queue, [lane]) = Queue::with_lanes(GROUP_WRITES_MAX, &StoreMetrics::new().unwrap());
            let put = |id: usize| {
                let (key, record) =
                    (("acme".to_owned(), id.to_string()), Record { bytes: Vec::new(), sealed_by: None });
                Box::pin(queue.put(key, NewVersion::of(None), record, Condition::Always))
            };
            let mut puts: Vec<_> = (0..3).map(put).collect();
            for put in &mut puts {
                assert!(poll!(put).is_pending());
            }
            assert!(poll!(&mut puts[0]).is_pending(), "the first one wakes the lane when it is asked again");
            let mut lane = Box::pin(lane.run(Script(vec![Ok(())], Arc::default())));
            assert!(poll!(&mut lane).is_pending(), "they are committed");
            let left: Vec<_> = puts.into_iter().zip(given_up).filter(|(_, given_up)| !given_up).collect();
            // The last one is told first.
            for (put, _) in left.into_iter().rev() {
                assert!(matches!(put.now_or_never(), Some(Ok(PutOutcome::Created(_)))), "{given_up:?}");
            }
        }
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
