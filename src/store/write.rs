//! What waits to be written, and how its caller is told what became of it.

use super::{
    error::StoreError,
    post::{self, Answer, Letter, Reply},
    types::{Condition, DeleteOutcome, PutOutcome, Record},
    used::{DamagedOutcome, Outcome},
    version::Version,
};
use crate::{
    signature_id::SignatureId,
    telemetry::{StoreMetrics, WriteOutcome},
};

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
    reply: Reply<Result<T, StoreError>>,
}

impl<T: Outcome + Send + 'static> Slot<T> {
    /// A slot, and where its outcome is told.
    pub(super) fn new() -> (Self, Answer<Result<T, StoreError>>) {
        let (reply, told) = post::reply();
        (Self { outcome: None, is_repeated: false, reply }, told)
    }

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

    fn letter(self, result: Result<(), StoreError>, metrics: &StoreMetrics) -> Letter {
        let outcome = self.outcome.ok_or_else(|| StoreError::failed("the engine gave no outcome"));
        let told = result.and(outcome);
        metrics.count(match &told {
            Ok(_) if self.is_repeated => WriteOutcome::Replayed,
            Ok(outcome) => outcome.kind(),
            Err(_) => WriteOutcome::Failed,
        });
        self.reply.letter(told)
    }
}

impl Write {
    pub(super) fn new(
        (account, customer_id): (String, String),
        signature: Option<SignatureId>,
        change: Change,
    ) -> Self {
        Self { account, customer_id, signature, timestamp: 0, change }
    }

    /// The customer's primary key.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.account, &self.customer_id)
    }

    /// Notes the outcome that was written down, now or, if it is repeated, when the signature was used first.
    pub(super) fn fill(&mut self, outcome: &[u8], is_repeated: bool) -> Result<(), DamagedOutcome> {
        match &mut self.change {
            Change::Put { slot, .. } => slot.read(outcome, is_repeated),
            Change::Delete { slot, .. } => slot.read(outcome, is_repeated),
        }
    }

    /// Whether the caller gave up.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.change {
            Change::Put { slot, .. } => slot.reply.is_abandoned(),
            Change::Delete { slot, .. } => slot.reply.is_abandoned(),
        }
    }

    fn letter(self, result: Result<(), StoreError>, metrics: &StoreMetrics) -> Letter {
        match self.change {
            Change::Put { slot, .. } => slot.letter(result, metrics),
            Change::Delete { slot, .. } => slot.letter(result, metrics),
        }
    }

    /// Tells the caller that the write was not made.
    pub(super) fn fail(self, error: StoreError, metrics: &StoreMetrics) {
        self.letter(Err(error), metrics).deliver();
    }
}

/// Tells the callers of writes that are committed.
pub(super) fn tell_committed(writes: Vec<Write>, metrics: &StoreMetrics) {
    post::deliver_all(writes.into_iter().map(|write| write.letter(Ok(()), metrics)));
}
