//! What an export reads.

use diesel::{QueryResult, result::Error as DieselError};
use tokio::sync::mpsc::{Receiver, Sender};

use super::{
    decide::Outcome,
    error::StoreError,
    feed::{FeedHead, RawEvent},
    types::{RawCustomer, SigningKey, UnusableKey},
};
use crate::signature_id::SignatureId;

/// A part of an export; `None` stands for its end.
pub(super) type Part = Result<Option<Exported>, StoreError>;

/// What an export reads, part by part.
pub struct Export(pub(super) Receiver<Part>);

impl Export {
    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Exported>, StoreError> {
        self.0.recv().await.unwrap_or_else(|| Err(StoreError::unavailable("the export has ended early")))
    }
}

/// Where a task puts the parts. An error says that nobody takes them any more.
pub(super) struct Parts<'a>(pub &'a Sender<Part>);

impl Parts<'_> {
    pub(super) async fn send(&self, part: Exported) -> QueryResult<()> {
        self.0.send(Ok(Some(part))).await.map_err(|_| DieselError::RollbackTransaction)
    }
}

/// The same for a thread.
pub(super) struct BlockingParts<'a>(pub &'a Sender<Part>);

impl BlockingParts<'_> {
    pub(super) fn send(&self, part: Exported) -> QueryResult<()> {
        self.0.blocking_send(Ok(Some(part))).map_err(|_| DieselError::RollbackTransaction)
    }
}

/// A part of an export.
#[derive(Debug)]
pub enum Exported {
    /// All keys. They come first.
    Keys(Vec<Result<SigningKey, UnusableKey>>),
    /// Signatures that carried out a write, and have not expired.
    Signatures(Vec<UsedSignature>),
    /// Where the events of each account begin and end.
    Feeds(Vec<FeedHead>),
    /// Some events. Those of an account come in their order.
    Events(Vec<RawEvent>),
    /// Some customers. Those of an account come in the order of their creation.
    Customers(Vec<RawCustomer>),
}

/// A signature that carried out a write, and what its caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedSignature {
    /// The signature.
    pub signature: SignatureId,
    /// What its caller was told.
    pub outcome: Outcome,
}
