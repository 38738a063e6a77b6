//! Who waits for the next event.
//!
//! Nobody who waits holds a thread or a connection. Whoever commits events here says so at once. What others commit is found by
//! asking the database now and then: one of those who wait asks, for all of them.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turn, watch},
    time::{Instant, sleep},
};

use super::error::StoreError;
use crate::lock::lock;

/// How often the database is asked.
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// How old what it answered may be.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(1);

/// All who wait. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Followers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// What is known of each account that somebody waits for.
    accounts: Mutex<HashMap<String, Followed>>,
    /// Whose turn it is to ask the database.
    poller: Turn<()>,
    /// When it answered last.
    answered: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Followed {
    news: watch::Sender<News>,
    /// How many requests wait. The others who do are the service's own.
    requests: usize,
}

#[derive(Clone, Copy, Default)]
struct News {
    /// The position of the newest event.
    newest: i64,
    /// How often the database did not answer.
    failures: u64,
    /// How often those who waited had to go.
    dismissals: u64,
}

/// Somebody who waits, until this is dropped.
struct Waiting<'a> {
    followers: &'a Followers,
    account: &'a str,
    is_request: bool,
    news: watch::Receiver<News>,
}

impl Followers {
    /// Says what the newest event of each account is.
    pub(super) fn publish<'a>(&self, newest: impl IntoIterator<Item = (&'a str, i64)>) {
        let accounts = lock(&self.0.accounts);
        if accounts.is_empty() {
            return;
        }
        for (account, newest) in newest {
            if let Some(Followed { news, .. }) = accounts.get(account) {
                news.send_if_modified(|news| std::mem::replace(&mut news.newest, newest) != newest);
            }
        }
    }

    /// Waits until an account has an event after this position, as far as is known: also if the database does not answer.
    /// `poll` asks for the newest positions of accounts. A request may have to go: false is returned then.
    pub(super) async fn wait(
        &self,
        account: &str,
        position: i64,
        is_request: bool,
        poll: impl AsyncFn(Vec<String>) -> Result<Vec<(String, i64)>, StoreError>,
    ) -> bool {
        let mut waiting = self.subscribe(account, is_request);
        let News { newest: _, failures, dismissals } = *waiting.news.borrow();
        let is_news = |news: &News| {
            news.newest > position || news.failures != failures || news.dismissals != dismissals
        };
        tokio::select! {
            // The sender is there as long as somebody waits.
            _ = waiting.news.wait_for(is_news) => {}
            never = self.poll_in_turn(poll) => match never {},
        }
        waiting.news.borrow().dismissals == dismissals
    }

    /// Ends the waiting of the requests of the account of which the most wait.
    pub(super) fn dismiss(&self) {
        let accounts = lock(&self.0.accounts);
        if let Some(Followed { news, .. }) = accounts.values().max_by_key(|followed| followed.requests) {
            news.send_modify(|news| news.dismissals += 1);
        }
    }

    /// Whether those who wait would have been told of an event: the database has answered just now.
    pub(super) fn are_up_to_date(&self) -> bool {
        lock(&self.0.answered).is_some_and(|answered| answered.elapsed() < ANSWER_AGE_MAX)
    }

    async fn poll_in_turn(
        &self,
        poll: impl AsyncFn(Vec<String>) -> Result<Vec<(String, i64)>, StoreError>,
    ) -> Infallible {
        let _turn = self.0.poller.lock().await;
        // In a box, so that the others who wait have no room for it.
        Box::pin(self.poll(poll)).await
    }

    async fn poll(
        &self,
        poll: impl AsyncFn(Vec<String>) -> Result<Vec<(String, i64)>, StoreError>,
    ) -> Infallible {
        loop {
            let accounts = lock(&self.0.accounts).keys().cloned().collect();
            match poll(accounts).await {
                Ok(newest) => {
                    *lock(&self.0.answered) = Some(Instant::now());
                    self.publish(newest.iter().map(|(account, newest)| (account.as_str(), *newest)));
                }
                // Each of those who wait asks for itself, and gets to know the error.
                Err(_) => {
                    for Followed { news, .. } in lock(&self.0.accounts).values() {
                        news.send_modify(|news| news.failures += 1);
                    }
                }
            }
            sleep(POLL_PAUSE).await;
        }
    }

    fn subscribe<'a>(&'a self, account: &'a str, is_request: bool) -> Waiting<'a> {
        let mut accounts = lock(&self.0.accounts);
        let followed = accounts.entry(account.to_owned()).or_default();
        followed.requests += usize::from(is_request);
        Waiting { followers: self, account, is_request, news: followed.news.subscribe() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut accounts = lock(&self.followers.0.accounts);
        let Some(followed) = accounts.get_mut(self.account) else { return };
        followed.requests -= usize::from(self.is_request);
        // This one is still among them.
        if followed.news.receiver_count() <= 1 {
            accounts.remove(self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin};

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn the_requests_of_the_account_of_which_the_most_wait_are_dismissed() {
        let followers = Followers::default();
        let wait =
            |account, is_request| Box::pin(followers.wait(account, 0, is_request, async |_| Ok(Vec::new())));
        let mut own = [(); 3].map(|()| wait("endpoints", false));
        let (mut few, mut most) = (wait("few", true), [(); 2].map(|()| wait("most", true)));
        for waiting in own.iter_mut().chain([&mut few]).chain(&mut most) {
            assert!(poll!(waiting).is_pending());
        }
        followers.dismiss();
        for waiting in most {
            assert!(!waiting.await);
        }
        for waiting in own.iter_mut().chain([&mut few]) {
            assert!(poll!(waiting).is_pending());
        }
    }

    #[tokio::test]
    async fn they_are_up_to_date_only_if_the_database_answers() {
        let followers = Followers::default();
        {
            let mut waiting = pin!(followers.wait("acme", 0, true, async |_| pending().await));
            assert!(poll!(&mut waiting).is_pending());
            assert!(!followers.are_up_to_date());
        }
        let mut waiting = pin!(followers.wait("acme", 0, true, async |_| Ok(Vec::new())));
        assert!(poll!(&mut waiting).is_pending());
        assert!(followers.are_up_to_date());
    }
}
