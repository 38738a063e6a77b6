//! What the bodies of all requests may occupy together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What the bodies of all requests may occupy together, in bytes.
const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The part of each body that does not count, in bytes. Large bodies never keep small ones out; what these occupy is
/// limited by the number of connections.
const UNCOUNTED_BYTES: usize = 16 * 1024;

/// The bytes that are left. Clones share them.
#[derive(Clone)]
pub(super) struct BodyBudget(Arc<AtomicUsize>);

/// The share of one body. Dropping it gives the bytes back.
pub(super) struct BodyShare {
    budget: BodyBudget,
    bytes: usize,
}

/// The error if a body does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bodies of other requests leave no room for this one")]
pub(super) struct NoRoom;

impl BodyBudget {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(BODIES_BYTES_MAX)))
    }

    /// The share of a body that is still empty.
    pub(super) fn share(&self) -> BodyShare {
        BodyShare { budget: self.clone(), bytes: 0 }
    }
}

impl BodyShare {
    /// Takes what a body of this length needs.
    pub(super) fn grow(&mut self, body_bytes: usize) -> Result<(), NoRoom> {
        let needed = body_bytes.saturating_sub(UNCOUNTED_BYTES).saturating_sub(self.bytes);
        if needed > 0 {
            let take = |left: usize| left.checked_sub(needed);
            self.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| NoRoom)?;
            self.bytes += needed;
        }
        Ok(())
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_share_the_room_and_small_ones_always_fit() {
        let budget = BodyBudget::new();
        let mut shares = Vec::new();
        loop {
            let mut share = budget.share();
            share.grow(UNCOUNTED_BYTES / 2).unwrap();
            share.grow(UNCOUNTED_BYTES).unwrap();
            let grown = share.grow(UNCOUNTED_BYTES + 1_000_000);
            shares.push(share);
            if grown.is_err() {
                break;
            }
        }
        assert_eq!(shares.len(), BODIES_BYTES_MAX / 1_000_000 + 1);
        assert_eq!(budget.share().grow(UNCOUNTED_BYTES), Ok(()), "a small body");
        shares.remove(0);
        assert_eq!(budget.share().grow(UNCOUNTED_BYTES + 1_000_000), Ok(()), "in the place of another");
        drop(shares);
        assert_eq!(budget.0.load(Ordering::Relaxed), BODIES_BYTES_MAX, "all is given back");
    }
}
