//! Work that few requests may do at the same time, in turn by account.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use crate::{account::Account, by_account::ByAccount, lock::lock};

pub(super) const WAITING_MAX: usize = 1024;

pub(super) const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Who works, and who waits. Clones share them.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    waiting: ByAccount<Waiter>,
}

struct Waiter {
    account: Account,
    call: oneshot::Sender<Turn>,
}

/// The turn of a request, until this is dropped.
pub(super) struct Turn(Option<Turns>);

/// The error if too many requests wait, or one waits for too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no turn in time")]
pub(super) struct NoTurn;

impl Turns {
    /// So many requests work at the same time.
    pub(super) fn new(max: usize) -> Self {
        let waiting = ByAccount::new(WAITING_MAX, |waiter: &Waiter| waiter.account.as_str());
        Self(Arc::new(Mutex::new(State { free: max, waiting })))
    }

    /// Waits for a turn. A request that need not wait gets it at once.
    pub(super) async fn take(&self, account: &Account) -> Result<Turn, NoTurn> {
        let called = {
            let mut state = lock(&self.0);
            if state.free > 0 {
                state.free -= 1;
                return Ok(Turn(Some(self.clone())));
            }
            let (call, called) = oneshot::channel();
            // Whose sender is dropped waits no longer.
            drop(state.waiting.add(Waiter { account: account.clone(), call }));
            called
        };
        timeout(TURN_TIMEOUT, called).await.map_err(|_late| NoTurn)?.map_err(|_dropped| NoTurn)
    }

    fn pass_on(self) {
        let mut turn = Turn(Some(self.clone()));
        loop {
            let next = {
                let mut state = lock(&self.0);
                let next = state.waiting.take(1).pop();
                if next.is_none() {
                    state.free += 1;
                    turn.0 = None;
                }
                next
            };
            let Some(Waiter { account: _, call }) = next else { return };
            match call.send(turn) {
                Ok(()) => return,
                Err(refused) => turn = refused,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt as _, poll};

    use super::*;

    #[tokio::test]
    async fn an_account_with_one_request_waits_for_one_of_another_at_most() {
        let turns = Turns::new(1);
        let (flood, few): (Account, Account) = ("flood".parse().unwrap(), "few".parse().unwrap());
        let first = turns.take(&flood).now_or_never().unwrap().unwrap();
        let mut flood: Vec<_> = (0..5).map(|_| Box::pin(turns.take(&flood))).collect();
        for waiting in &mut flood {
            assert!(poll!(waiting).is_pending());
        }
        let mut few = pin!(turns.take(&few));
        assert!(poll!(&mut few).is_pending());
        drop(first);
        let second = flood[0].as_mut().now_or_never().expect("the first of the flood").unwrap();
        assert!(poll!(&mut few).is_pending());
        drop(second);
        let third = few.now_or_never().expect("then the other account").unwrap();
        // Who gives up is passed over, and a turn that nobody takes is passed on.
        drop(flood.remove(1));
        drop(third);
        drop(flood.remove(1));
        assert!(flood[1].as_mut().now_or_never().expect("the next one that waits").is_ok());
        flood.clear();
        assert!(turns.take(&"few".parse().unwrap()).now_or_never().is_some(), "none is lost");
    }

    #[tokio::test]
    async fn whoever_finds_the_queue_full_is_refused() {
        let (turns, account) = (Turns::new(1), "acme".parse().unwrap());
        let _first = turns.take(&account).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(turns.take(&account))).collect();
        for waiting in &mut waiting {
            assert!(poll!(waiting).is_pending());
        }
        assert!(turns.take(&account).now_or_never().is_some_and(|refused| refused.is_err()));
    }
}
