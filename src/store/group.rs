//! Group commit: writes that wait while a transaction commits are committed together in the next one.
//!
//! The queue is bounded, so that a store that cannot keep up says so instead of growing. Each write gets its own outcome
//! after the commit. There is no batching timer: a single write is committed immediately.

use std::{
    array,
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Mutex as Turn, time::timeout};

use super::{
    decide::Change,
    error::StoreError,
    in_progress::InProgress,
    write::{Told, Write, tell_committed},
};
use crate::{
    clock,
    lock::lock,
    scheduling::queue,
    telemetry::{StoreMetrics, WriteOutcome},
};

/// How many writes may wait.
pub(super) const QUEUE_WRITES_MAX: usize = 1024;

/// How many writes one transaction takes, unless told otherwise: beyond this, a group gets slower but not cheaper.
pub const GROUP_WRITES_MAX: usize = 128;

/// How long no write must come before an engine does what can wait.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// What an engine does with a group.
pub(super) trait Committer {
    /// Commits the writes as one transaction, and returns what to tell the caller of each. All of them are durable
    /// afterwards, or none is. The engine may reorder the writes of different customers.
    async fn commit(&mut self, group: &mut [Write]) -> Result<Vec<Told>, Failure>;

    /// Does a small part of what can wait until no write comes. Returns whether there is more of it.
    async fn tidy_up(&mut self) -> bool {
        false
    }

    /// Shows that writes can be made: asked after one could not, until one can.
    async fn probe(&mut self) -> Result<(), StoreError>;
}

/// Why a group was not committed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database is not available. No other write can be made now.
    Away(StoreError),
    /// The database refused something in the group. Without it, the others may be made.
    Refused(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Unavailable(_) => Self::Away(error),
            StoreError::Failed(_) => Self::Refused(error),
        }
    }
}

/// Since when nothing was committed although it was tried.
#[derive(Default)]
struct Stall(Mutex<Option<Instant>>);

impl Stall {
    fn begin(&self) {
        lock(&self.0).get_or_insert_with(Instant::now);
    }

    fn end(&self) {
        *lock(&self.0) = None;
    }

    fn time(&self) -> Duration {
        lock(&self.0).map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Commits a group and tells each caller. This is the one policy for failures:
///
/// - If the database is not available, all callers are told at once, and nothing is tried again.
/// - If it refused something, each half of the group is tried alone, and so on: what cannot be written is told to its own
///   caller, and the others are committed.
async fn settle(committer: &mut impl Committer, group: Vec<Write>, metrics: &StoreMetrics, stall: &Stall) {
    let mut attempts = VecDeque::from([group]);
    while let Some(mut writes) = attempts.pop_front() {
        let started = Instant::now();
        stall.begin();
        let committed = committer.commit(&mut writes).await;
        metrics.note_commit(writes.len(), started.elapsed());
        match committed {
            Ok(told) => {
                stall.end();
                tell_committed(writes, told, metrics);
            }
            Err(Failure::Refused(_)) if writes.len() > 1 => {
                let half = writes.split_off(writes.len() / 2);
                attempts.push_front(half);
                attempts.push_front(writes);
            }
            Err(failure) => {
                let (error, others) = match failure {
                    Failure::Refused(error) => (error, VecDeque::new()),
                    Failure::Away(error) => (error, mem::take(&mut attempts)),
                };
                for write in writes.into_iter().chain(others.into_iter().flatten()) {
                    write.fail(error.duplicate(), metrics);
                }
            }
        }
    }
}

/// The sending side of the queue.
#[derive(Clone)]
pub(super) struct Queue {
    writes: Arc<queue::Sender<Write>>,
    in_progress: InProgress,
    stall: Arc<Stall>,
    metrics: StoreMetrics,
}

impl Queue {
    /// A queue, and those that take groups from it in turn. A transaction takes at most `group_writes_max` writes.
    pub(super) fn with_lanes<const LANES: usize>(
        group_writes_max: usize,
        metrics: &StoreMetrics,
    ) -> (Self, [Lane; LANES]) {
        let (sender, writes) = queue::channel(QUEUE_WRITES_MAX, |write: &Write| &write.account);
        let (writes, stamps) = (Arc::new(Turn::new(writes)), Arc::new(Stamps::default()));
        let (in_progress, stall) = (InProgress::default(), Arc::new(Stall::default()));
        let lanes = array::from_fn(|number| Lane {
            number,
            writes: Arc::clone(&writes),
            in_progress: in_progress.clone(),
            stamps: Arc::clone(&stamps),
            stall: Arc::clone(&stall),
            group_writes_max,
            metrics: metrics.clone(),
        });
        (Self { writes: Arc::new(sender), in_progress, stall, metrics: metrics.clone() }, lanes)
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.writes.len() + self.in_progress.len()
    }

    /// How long nothing was committed although it was tried.
    pub(super) fn stall_time(&self) -> Duration {
        self.stall.time()
    }

    pub(super) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// Puts a write into the queue, and waits for what became of it. The key is the customer's account and id.
    pub(super) async fn submit(&self, key: (String, String), change: Change) -> Told {
        let (write, told) = Write::new(key, change);
        if let Err(refused) = self.writes.send(write).await {
            // It may be this one.
            refused.fail(StoreError::Busy, &self.metrics);
        }
        told.await.map_err(|_| StoreError::unavailable("the writer has ended"))?
    }
}

/// Takes groups of writes, in turn with the other lanes: one group fills up while others commit.
pub(super) struct Lane {
    number: usize,
    writes: Arc<Turn<queue::Receiver<Write>>>,
    in_progress: InProgress,
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
    pub(super) async fn run(self, mut committer: impl Committer) {
        let mut pause = IDLE_PAUSE;
        loop {
            let mut turn = self.writes.lock().await;
            let Ok(group) = timeout(pause, turn.gather(self.group_writes_max)).await else {
                drop(turn);
                pause = if self.use_pause(&mut committer).await { Duration::ZERO } else { IDLE_PAUSE };
                continue;
            };
            pause = IDLE_PAUSE;
            if group.is_empty() {
                return;
            }
            let mut group = self.in_progress.begin(self.number, group);
            drop(turn);
            while !group.is_empty() {
                let later = group.split_off(group.len().min(self.group_writes_max));
                self.settle(&mut committer, group).await;
                group = if later.is_empty() { self.in_progress.next(self.number) } else { later };
            }
        }
    }

    /// Commits a group and tells each caller.
    async fn settle(&self, committer: &mut impl Committer, mut group: Vec<Write>) {
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
            settle(committer, group, &self.metrics, &self.stall).await;
        }
    }

    /// Returns whether there is more to do.
    async fn use_pause(&self, committer: &mut impl Committer) -> bool {
        if self.stall.time() < IDLE_PAUSE {
            return committer.tidy_up().await;
        }
        if committer.probe().await.is_ok() {
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

    use super::{
        super::{
            decide::Outcome,
            types::{Condition, Record},
            version::{NewVersion, Version},
            write::Done,
        },
        *,
    };

    /// Answers the attempts one after the other with what is written, and notes how large each was.
    struct Script(Vec<Result<(), Failure>>, Arc<std::sync::Mutex<Vec<usize>>>);

    impl Committer for Script {
        async fn commit(&mut self, group: &mut [Write]) -> Result<Vec<Told>, Failure> {
            self.1.lock().unwrap().push(group.len());
            let done =
                Done { outcome: Outcome::Created(Version::new()), is_repeated: false, event_type: None };
            self.0.remove(0).map(|()| group.iter().map(|_| Ok(done)).collect())
        }

        async fn probe(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    async fn put(queue: &Queue, id: usize) -> Told {
        let record = Record { bytes: Vec::new(), sealed_by: None };
        let change = Change::Put { record, new: NewVersion::of(None), condition: Condition::Always };
        queue.submit(("acme".to_owned(), id.to_string()), change).await
    }

    /// Submits four writes at once; tells their outcomes, and the sizes of the attempts.
    async fn outcomes(answers: Vec<Result<(), Failure>>) -> (Vec<&'static str>, Vec<usize>) {
        let (queue, [lane]) = Queue::with_lanes(GROUP_WRITES_MAX, &StoreMetrics::new().unwrap());
        let sizes = Arc::default();
        let engine = Script(answers, Arc::clone(&sizes));
        let writes = tokio::select! {
            writes = join_all((0..4).map(|id| put(&queue, id))) => writes,
            () = lane.run(engine) => Vec::new(),
        };
        let outcome = |write: &Told| match write {
            Ok(_) => "written",
            Err(StoreError::Busy) => "busy",
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(StoreError::Failed(_)) => "failed",
        };
        let sizes = sizes.lock().unwrap().clone();
        (writes.iter().map(outcome).collect(), sizes)
    }

    fn away() -> Result<(), Failure> {
        Err(StoreError::unavailable("gone").into())
    }

    fn refused() -> Result<(), Failure> {
        Err(StoreError::failed("refused").into())
    }

    #[tokio::test]
    async fn a_group_that_is_committed_is_told_as_written() {
        assert_eq!(outcomes(vec![Ok(())]).await, (vec!["written"; 4], vec![4]));
    }

    #[tokio::test]
    async fn if_the_database_is_not_available_all_are_told_at_once() {
        assert_eq!(outcomes(vec![away()]).await, (vec!["unavailable"; 4], vec![4]));
        let later = outcomes(vec![refused(), Ok(()), away()]).await;
        assert_eq!(later, (vec!["written", "written", "unavailable", "unavailable"], vec![4, 2, 2]));
    }

    #[tokio::test]
    async fn if_the_database_refuses_a_group_its_halves_are_tried() {
        let told = outcomes(vec![refused(), refused(), Ok(()), refused(), Ok(())]).await;
        assert_eq!(told, (vec!["written", "failed", "written", "written"], vec![4, 2, 1, 1, 2]));
    }

    #[tokio::test]
    async fn what_a_write_meets_each_time_is_told_to_its_own_caller() {
        let conflict = || Err(Failure::Refused(StoreError::unavailable("a conflict, each time")));
        let told = outcomes(vec![conflict(), Ok(()), conflict(), conflict(), Ok(())]).await;
        assert_eq!(told, (vec!["written", "written", "unavailable", "written"], vec![4, 2, 2, 1, 1]));
    }
}
