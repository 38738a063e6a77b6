//! What waits to be written, and how its caller is told what became of it.

use tokio::sync::oneshot;

use super::{
    decide::{Change, Outcome},
    error::StoreError,
    types::ImportOutcome,
};
use crate::{
    model::EventType,
    telemetry::{EventKind, StoreMetrics, WriteOutcome},
};

/// A write in a queue.
pub(super) struct Write {
    pub account: String,
    pub customer_id: String,
    /// When the write was taken from the queue, in microseconds since the Unix epoch.
    pub timestamp: i64,
    pub change: Change,
    reply: oneshot::Sender<Told>,
}

/// An outcome, and whether it is that of an earlier write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub outcome: Outcome,
    pub is_repeated: bool,
    /// What those who follow are told.
    pub event_type: Option<EventType>,
}

/// What a caller is told.
pub(super) type Told = Result<Done, StoreError>;

impl Write {
    /// A write, and where its caller is told what became of it.
    pub(super) fn new(
        (account, customer_id): (String, String),
        change: Change,
    ) -> (Self, oneshot::Receiver<Told>) {
        let (reply, told) = oneshot::channel();
        (Self { account, customer_id, timestamp: 0, change, reply }, told)
    }

    /// The customer's primary key.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.account, &self.customer_id)
    }

    /// Whether the caller gave up.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Tells the caller.
    fn tell(self, told: Told, metrics: &StoreMetrics) {
        metrics.count(match &told {
            Ok(Done { is_repeated: true, .. }) => WriteOutcome::Replayed,
            Ok(Done { outcome, .. }) => kind(*outcome),
            Err(_) => WriteOutcome::Failed,
        });
        if let Ok(Done { event_type: Some(event_type), .. }) = &told {
            metrics.count_event(match event_type {
                EventType::CustomerCreated => EventKind::Created,
                EventType::CustomerUpdated => EventKind::Updated,
                EventType::CustomerDeleted => EventKind::Deleted,
            });
        }
        // The caller may have given up.
        let _ = self.reply.send(told);
    }

    /// Tells the caller that the write was not made.
    pub(super) fn fail(self, error: StoreError, metrics: &StoreMetrics) {
        self.tell(Err(error), metrics);
    }
}

impl From<Done> for ImportOutcome {
    fn from(Done { outcome, is_repeated, event_type: _ }: Done) -> Self {
        match outcome {
            _ if is_repeated => Self::AlreadyThere,
            Outcome::Created(_) | Outcome::Updated(_) => Self::Written,
            Outcome::ConditionFailed | Outcome::Deleted | Outcome::NotFound => Self::Taken,
        }
    }
}

/// As it is counted.
const fn kind(outcome: Outcome) -> WriteOutcome {
    match outcome {
        Outcome::Created(_) => WriteOutcome::Created,
        Outcome::Updated(_) => WriteOutcome::Updated,
        Outcome::ConditionFailed => WriteOutcome::ConditionFailed,
        Outcome::Deleted => WriteOutcome::Deleted,
        Outcome::NotFound => WriteOutcome::NotFound,
    }
}

/// Tells the callers of writes that are committed.
pub(super) fn tell_committed(writes: Vec<Write>, told: Vec<Told>, metrics: &StoreMetrics) {
    for (write, told) in writes.into_iter().zip(told) {
        write.tell(told, metrics);
    }
}
