//! What all requests, or all answers, may occupy together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpMessage as _, HttpRequest, web::Bytes};
use tokio::{sync::oneshot, time::timeout};

use crate::{account::Account, by_account::ByAccount, lock::lock};

/// What the bodies of all requests may occupy together, in bytes.
pub(super) const BODIES_BYTES_MAX: usize = 24 * 1024 * 1024;

/// What the answers that wait to be sent may occupy together, in bytes.
pub(super) const ANSWERS_BYTES_MAX: usize = 24 * 1024 * 1024;

/// What each connection may occupy besides, in bytes. So large bodies and answers never keep small ones out.
pub(super) const CONNECTION_BYTES_MAX: usize = 16 * 1024;

/// How many requests may wait for room.
pub(super) const WAITING_MAX: usize = 1024;

/// How long they wait.
pub(super) const WAITING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that all connections share, or whatever else there is a limited number of. An account may use half of them. Clones
/// share them.
#[derive(Clone)]
pub(super) struct Budget(Arc<Shared>);

struct Shared {
    max: usize,
    account_max: usize,
    state: Mutex<State>,
}

struct State {
    used: usize,
    /// How many bytes each account uses. No account is without any.
    accounts: HashMap<Account, usize>,
    waiting: ByAccount<Waiter>,
}

struct Waiter {
    account: Account,
    bytes: usize,
    call: oneshot::Sender<Share>,
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
#[error("other requests leave no room for this one")]
pub(super) struct NoRoom;

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        let waiting = ByAccount::new(WAITING_MAX, |waiter: &Waiter| waiter.account.as_str());
        let state = State { used: 0, accounts: HashMap::new(), waiting };
        Self(Arc::new(Shared { max, account_max: max.div_ceil(2), state: Mutex::new(state) }))
    }

    pub(super) fn max(&self) -> usize {
        self.0.max
    }

    pub(super) fn used(&self) -> usize {
        lock(&self.0.state).used
    }

    /// Waits for room for something that an account will have, in turn by account. Who needs more than its account may use
    /// now holds up nobody.
    pub(super) async fn reserve(&self, account: &Account, bytes: usize) -> Result<Share, NoRoom> {
        let (call, called) = oneshot::channel();
        // Whose sender is dropped waits no longer.
        drop(lock(&self.0.state).waiting.add(Waiter { account: account.clone(), bytes, call }));
        self.call_waiting();
        timeout(WAITING_TIMEOUT, called).await.map_err(|_late| NoRoom)?.map_err(|_dropped| NoRoom)
    }

    /// Ends [`Self::reserve`] for all that wait of the account of which the most do, because others need their places.
    pub(super) fn dismiss(&self) {
        drop(lock(&self.0.state).waiting.take_most());
    }

    fn call_waiting(&self) {
        loop {
            let next = lock(&self.0.state).next(&self.0);
            let Some(Waiter { account, bytes, call }) = next else { return };
            let mut share = self.share(Allowance::default()).of(Some(account));
            share.from_budget = bytes;
            // Whoever has left meanwhile gives it back.
            drop(call.send(share));
        }
    }

    /// The share of something that is still empty.
    pub(super) fn share(&self, allowance: Allowance) -> Share {
        Share { budget: self.clone(), allowance, account: None, from_budget: 0, from_allowance: 0 }
    }

    /// False if there are not so many bytes left.
    fn take(&self, account: Option<&Account>, bytes: usize) -> bool {
        lock(&self.0.state).take(&self.0, account, bytes)
    }

    fn give_back(&self, account: Option<&Account>, bytes: usize) {
        if bytes > 0 {
            lock(&self.0.state).give_back(account, bytes);
            self.call_waiting();
        }
    }
}

impl State {
    /// Takes what the next one waits for.
    fn next(&mut self, limits: &Shared) -> Option<Waiter> {
        loop {
            let mut is_full = false;
            let next = self.waiting.take_one(|Waiter { account, bytes, call }| {
                if call.is_closed() {
                    return true;
                }
                let of_account = self.accounts.get(account).copied().unwrap_or_default();
                let may_have_it = !is_full && of_account + bytes <= limits.account_max;
                // What there is stays for this one, also if others need less.
                is_full |= may_have_it && self.used + bytes > limits.max;
                may_have_it && !is_full
            })?;
            if !next.call.is_closed() && self.take(limits, Some(&next.account), next.bytes) {
                return Some(next);
            }
        }
    }

    fn take(
        &mut self,
        Shared { max, account_max, .. }: &Shared,
        account: Option<&Account>,
        bytes: usize,
    ) -> bool {
        let used = self.used + bytes;
        let of_account =
            account.map(|account| (account, self.accounts.get(account).map_or(bytes, |used| used + bytes)));
        if used > *max || of_account.is_some_and(|(_, used)| used > *account_max) {
            return false;
        }
        self.used = used;
        if let Some((account, used)) = of_account.filter(|_| bytes > 0) {
            self.accounts.insert(account.clone(), used);
        }
        true
    }

    fn give_back(&mut self, account: Option<&Account>, bytes: usize) {
        self.used -= bytes;
        let Some(account) = account else { return };
        if let Some(used) = self.accounts.get_mut(account) {
            *used -= bytes;
            if *used == 0 {
                self.accounts.remove(account);
            }
        }
    }
}

impl Allowance {
    /// That of the connection of a request.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// False if there are not so many bytes left.
    fn take(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= CONNECTION_BYTES_MAX);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
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
        if self.allowance.take(needed) {
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
        self.from_budget -= unused;
        self.budget.give_back(self.account.as_ref(), unused);
        Ok(Bytes::from_owner(Kept { bytes, _share: self }))
    }
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
    use std::pin::pin;

    use futures_util::{FutureExt as _, future::join_all, poll};

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

    #[tokio::test]
    async fn an_account_uses_at_most_half() {
        let budget = Budget::new(100_000_000);
        let [one, other] = ["one", "other"].map(|name| name.parse().unwrap());
        let held = join_all((0..5).map(|_| budget.reserve(&one, 10_000_000))).await;
        let mut sixth = pin!(budget.reserve(&one, 10_000_000));
        assert!(poll!(&mut sixth).is_pending());
        let of_other = budget.reserve(&other, 50_000_000).await.unwrap();
        assert!(poll!(&mut sixth).is_pending());
        drop(held);
        let sixth = sixth.await.unwrap();
        assert_eq!(budget.used(), 60_000_000);
        drop((sixth, of_other));
        assert!(lock(&budget.0.state).accounts.is_empty(), "none is remembered");
    }

    #[tokio::test]
    async fn where_others_need_the_place_the_account_with_the_most_waits_no_longer() {
        let budget = Budget::new(2);
        let (most, other) = ("most".parse().unwrap(), "other".parse().unwrap());
        let used = [budget.reserve(&most, 1).await.unwrap(), budget.reserve(&other, 1).await.unwrap()];
        let mut waiting = pin!(join_all((0..3).map(|_| budget.reserve(&most, 1))));
        let mut kept = pin!(budget.reserve(&other, 1));
        assert!(poll!(&mut waiting).is_pending() && poll!(&mut kept).is_pending());
        budget.dismiss();
        assert!(waiting.await.into_iter().all(|waited| waited.err() == Some(NoRoom)));
        assert!(poll!(&mut kept).is_pending());
        drop(used);
        assert!(kept.await.is_ok());
    }

    #[tokio::test]
    async fn an_account_with_one_request_waits_for_one_of_another_at_most() {
        let budget = Budget::new(1);
        let (flood, few): (Account, Account) = ("flood".parse().unwrap(), "few".parse().unwrap());
        let first = budget.reserve(&flood, 1).await.unwrap();
        let mut flood: Vec<_> = (0..5).map(|_| Box::pin(budget.reserve(&flood, 1))).collect();
        for waiting in &mut flood {
            assert!(poll!(waiting).is_pending());
        }
        let mut few = pin!(budget.reserve(&few, 1));
        assert!(poll!(&mut few).is_pending());
        drop(first);
        let second = flood[0].as_mut().now_or_never().expect("the first of the flood").unwrap();
        assert!(poll!(&mut few).is_pending());
        drop(second);
        let third = few.now_or_never().expect("then the other account").unwrap();
        // Who gives up is passed over, and what nobody takes is passed on.
        drop(flood.remove(1));
        drop(third);
        drop(flood.remove(1));
        assert!(flood[1].as_mut().now_or_never().expect("the next one that waits").is_ok());
        flood.clear();
        assert_eq!(budget.used(), 0, "none is lost");
    }

    #[tokio::test]
    async fn those_who_need_less_do_not_take_what_the_next_one_waits_for() {
        let budget = Budget::new(8);
        let [one, two, large] = ["one", "two", "large"].map(|name| name.parse::<Account>().unwrap());
        let mut held = join_all(
            [&one, &one, &one, &one, &two, &two, &two, &two].map(|account| budget.reserve(account, 1)),
        )
        .await;
        let mut waiting = pin!(budget.reserve(&large, 3));
        assert!(poll!(&mut waiting).is_pending());
        let mut small = pin!(budget.reserve(&one, 1));
        for _ in 0..2 {
            held.remove(0).unwrap();
            assert!(poll!(&mut small).is_pending() && poll!(&mut waiting).is_pending());
        }
        held.remove(0).unwrap();
        assert!(waiting.now_or_never().expect("the one that has waited").is_ok());
        assert!(small.now_or_never().expect("then the other").is_ok());
    }

    #[tokio::test]
    async fn whoever_finds_too_many_waiting_is_refused() {
        let (budget, account) = (Budget::new(1), "acme".parse().unwrap());
        let _first = budget.reserve(&account, 1).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(budget.reserve(&account, 1))).collect();
        for waiting in &mut waiting {
            assert!(poll!(waiting).is_pending());
        }
        assert!(budget.reserve(&account, 1).now_or_never().is_some_and(|refused| refused.is_err()));
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
