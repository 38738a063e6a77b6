//! What an export reads.

use super::{
    decide::Outcome,
    feed::{FeedHead, RawEvent},
    types::{RawCustomer, SigningKey, UnusableKey},
};
use crate::signature_id::SignatureId;

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
