//! What all requests, or all answers, may occupy together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::{HttpMessage as _, HttpRequest, web::Bytes};

use crate::{account::Account, lock::lock};

/// What the bodies of all requests may occupy together, in bytes.
pub(super) const BODIES_BYTES_MAX: usize = 24 * 1024 * 1024;

/// What the answers that wait to be sent may occupy together, in bytes.
pub(super) const ANSWERS_BYTES_MAX: usize = 24 * 1024 * 1024;

/// What each connection may occupy besides, in bytes. So large bodies and answers never keep small ones out.
pub(super) const CONNECTION_BYTES_MAX: usize = 16 * 1024;

/// Bytes that all connections share. An account may use half of them. Clones share them.
#[derive(Clone)]
pub(super) struct Budget {
    max: usize,
    used: Arc<AtomicUsize>,
    /// How many bytes each account uses. No account is without any.
    accounts: Arc<Mutex<HashMap<Account, usize>>>,
}

/// The bytes of one connection that do not count. Clones share them. A request carries it as an extension.
#[derive(Clone, Default)]
pub(super) struct Allowance(Arc<AtomicUsize>);

/// What one body or answer occupies. Dropping it gives the bytes back.
pub(super) struct Share {
    budget: Budget,
    allowance: Allowance,
    account: Option<Account>,
    from_budget: usize,
    from_allowance: usize,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bodies and answers of others leave no room for this one")]
pub(super) struct NoRoom;

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self { max, used: Arc::default(), accounts: Arc::default() }
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The share of something that an account will have, and that has at most so many bytes.
    pub(super) fn reserve(&self, account: &Account, bytes: usize) -> Result<Share, NoRoom> {
        let mut share = self.share(Allowance::default()).of(Some(account.clone()));
        share.grow(bytes).map(|()| share)
    }

    /// The share of something that is still empty.
    pub(super) fn share(&self, allowance: Allowance) -> Share {
        Share { budget: self.clone(), allowance, account: None, from_budget: 0, from_allowance: 0 }
    }

    /// False if there are not so many bytes left.
    fn take(&self, account: Option<&Account>, bytes: usize) -> bool {
        let Some(account) = account else { return take(&self.used, bytes, self.max) };
        let mut accounts = lock(&self.accounts);
        let of_account = accounts.get(account).map_or(bytes, |used| used + bytes);
        let is_taken = of_account <= self.max / 2 && take(&self.used, bytes, self.max);
        if is_taken && bytes > 0 {
            accounts.insert(account.clone(), of_account);
        }
        is_taken
    }

    fn give_back(&self, account: Option<&Account>, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let Some(account) = account.filter(|_| bytes > 0) else { return };
        let mut accounts = lock(&self.accounts);
        if let Some(used) = accounts.get_mut(account) {
            *used -= bytes;
            if *used == 0 {
                accounts.remove(account);
            }
        }
    }
}

impl Allowance {
    /// That of the connection of a request.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }
}

impl Share {
    /// The same share, which counts as that of an account.
    pub(super) fn of(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Makes the share large enough for so many bytes.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let needed = bytes.saturating_sub(self.from_budget + self.from_allowance);
        if take(&self.allowance.0, needed, CONNECTION_BYTES_MAX) {
            self.from_allowance += needed;
        } else if self.budget.take(self.account.as_ref(), needed) {
            self.from_budget += needed;
        } else {
            return Err(NoRoom);
        }
        Ok(())
    }

    /// Keeps these bytes until the last part of them is dropped, and counts them as long, and nothing else.
    pub(super) fn keep(mut self, bytes: Bytes) -> Result<Bytes, NoRoom> {
        self.grow(bytes.len())?;
        let unused = (self.from_budget + self.from_allowance - bytes.len()).min(self.from_budget);
        self.budget.give_back(self.account.as_ref(), unused);
        self.from_budget -= unused;
        Ok(Bytes::from_owner(Kept { bytes, _share: self }))
    }
}

/// Adds to what is used, unless it would be more than the maximum.
fn take(used: &AtomicUsize, bytes: usize, max: usize) -> bool {
    let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= max);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.account.as_ref(), self.from_budget);
        self.allowance.0.fetch_sub(self.from_allowance, Ordering::Relaxed);
    }
}

struct Kept {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_share_the_room_and_small_ones_always_fit() {
        let budget = Budget::new(64_000_000);
        let mut shares = Vec::new();
        loop {
            let mut share = budget.share(Allowance::default());
            share.grow(CONNECTION_BYTES_MAX / 2).unwrap();
            share.grow(CONNECTION_BYTES_MAX).unwrap();
            let grown = share.grow(CONNECTION_BYTES_MAX + 1_000_000);
            shares.push(share);
            if grown.is_err() {
                break;
            }
        }
        assert_eq!(shares.len(), 65);
        let small = Allowance::default();
        let mut first = budget.share(small.clone());
        assert_eq!(first.grow(CONNECTION_BYTES_MAX), Ok(()), "on a connection of its own");
        assert_eq!(budget.share(small).grow(1), Err(NoRoom), "the connection has no more");
        shares.remove(0);
        let mut other = budget.share(Allowance::default());
        other.grow(CONNECTION_BYTES_MAX).unwrap();
        assert_eq!(other.grow(CONNECTION_BYTES_MAX + 1_000_000), Ok(()), "in the place of another");
        drop((shares, first, other));
        assert_eq!(budget.used(), 0, "all is given back");
    }

    #[test]
    fn an_account_uses_at_most_half() {
        let budget = Budget::new(100_000_000);
        let (one, other): (Account, Account) = ("one".parse().unwrap(), "other".parse().unwrap());
        let held: Vec<_> = (0..5).map(|_| budget.reserve(&one, 10_000_000).unwrap()).collect();
        assert!(budget.reserve(&one, 10_000_000).is_err());
        let of_other = budget.reserve(&other, 50_000_000).unwrap();
        drop(held);
        assert!(budget.reserve(&one, 50_000_000).is_ok());
        drop(of_other);
        assert!(lock(&budget.accounts).is_empty(), "none is remembered");
    }

    #[test]
    fn kept_bytes_count_until_their_last_part_is_gone() {
        let budget = Budget::new(1_000_000);
        let share = budget.share(Allowance::default());
        let mut bytes = share.keep(vec![0; 200_000].into()).unwrap();
        assert_eq!(budget.used(), 200_000);
        let part = bytes.split_to(1);
        drop(bytes);
        assert_eq!(budget.used(), 200_000);
        drop(part);
        assert_eq!(budget.used(), 0);
    }
}
