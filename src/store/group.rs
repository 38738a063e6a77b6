//! Group commit: writes that wait while a transaction commits go into the next one together.
//!
//! The queue is bounded, so that a store that cannot keep up says so instead of growing. A write that was taken gets
//! its own outcome after the commit, and a lone one waits for nobody.

use tokio::sync::{mpsc, oneshot};

use super::{Condition, Delete, Put, StoreError, Version, row::NewCustomer};

/// How many writes may wait.
pub(super) const QUEUE_WRITES_MAX: usize = 1024;

/// How many writes one transaction takes: beyond this, a group grows slower but not cheaper.
pub(super) const GROUP_WRITES_MAX: usize = 128;

/// A write, and where its outcome goes.
pub(super) enum Write {
    Put { row: Box<NewCustomer>, condition: Condition, reply: Reply<Put> },
    Delete { account: String, customer_id: String, if_match: Option<Vec<Version>>, reply: Reply<Delete> },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The waiting writes, from the side that adds to them.
#[derive(Clone)]
pub(super) struct Queue(mpsc::Sender<Write>);

impl Queue {
    pub(super) fn bounded() -> (Self, mpsc::Receiver<Write>) {
        let (sender, receiver) = mpsc::channel(QUEUE_WRITES_MAX);
        (Self(sender), receiver)
    }

    /// Waits for the outcome of one write.
    pub(super) async fn submit<T>(&self, write: impl FnOnce(Reply<T>) -> Write) -> Result<T, StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.0.try_send(write(reply)).map_err(|_| StoreError::Busy)?;
        outcome.await.map_err(|_| StoreError::failed("the writer is gone"))?
    }
}
