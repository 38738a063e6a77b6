//! A queue that is bounded and takes turns by account.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::yielding::behind_ready_tasks;
use crate::{by_account::ByAccount, lock::lock};

/// Makes a queue for at most so many items.
pub(crate) fn channel<T>(max: usize, account_of: fn(&T) -> &str) -> (Sender<T>, Receiver<T>) {
    let waiting = Waiting { items: ByAccount::new(max, account_of), is_closed: false };
    let shared = Arc::new(Shared { waiting: Mutex::new(waiting), changed: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The end into which items are put. When it is dropped, no more come.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// The end from which items are taken. When it is dropped, those that wait are dropped too, and no more are accepted.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Notify,
}

struct Waiting<T> {
    items: ByAccount<T>,
    is_closed: bool,
}

impl<T> Sender<T> {
    /// Adds an item. If the queue is full, one has to go, which is returned: the newest one of the account with the most
    /// items, or this one.
    ///
    /// The receiver is woken when all tasks of this thread whose turn it is have had it, and so may have added theirs. If it
    /// were woken at once, it would often take the first of many items alone.
    pub(crate) async fn send(&self, item: T) -> Result<(), T> {
        let (is_first, refused) = lock(&self.0.waiting).add(item);
        if is_first {
            let _wakes = WakesReceiver(&self.0.changed);
            behind_ready_tasks().await;
        }
        refused.map_or(Ok(()), Err)
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0.waiting).items.len()
    }
}

/// Wakes the receiver when it is dropped, even if the sender is given up.
struct WakesReceiver<'a>(&'a Notify);

impl Drop for WakesReceiver<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        lock(&self.0.waiting).is_closed = true;
        self.0.changed.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Waits for an item, and takes those that wait behind it, one of each account in turn; empty when the sender is gone
    /// and nothing is left.
    pub(crate) async fn gather(&mut self, max: usize) -> Vec<T> {
        while lock(&self.0.waiting).is_idle() {
            self.0.changed.notified().await;
        }
        lock(&self.0.waiting).items.take(max)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.0.waiting);
        waiting.is_closed = true;
        drop(waiting.items.take(usize::MAX));
    }
}

impl<T> Waiting<T> {
    fn is_idle(&self) -> bool {
        self.items.is_empty() && !self.is_closed
    }

    /// Returns whether nothing waited before, and the item that had to go.
    fn add(&mut self, item: T) -> (bool, Option<T>) {
        if self.is_closed {
            return (false, Some(item));
        }
        let is_first = self.items.is_empty();
        (is_first, self.items.add(item))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt as _, poll};

    use super::*;

    /// Sends an item for each number, named by its account and the number. Returns those that had to go.
    async fn send(sender: &Sender<String>, account: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
        let mut refused = Vec::new();
        for number in numbers {
            refused.extend(sender.send(format!("{account}-{number}")).await.err());
        }
        refused
    }

    fn queue(max: usize) -> (Sender<String>, Receiver<String>) {
        channel(max, |item| item.split('-').next().unwrap())
    }

    fn gather(receiver: &mut Receiver<String>, max: usize) -> Option<Vec<String>> {
        receiver.gather(max).now_or_never()
    }

    #[tokio::test]
    async fn the_receiver_sleeps_until_others_have_added_their_items() {
        let (sender, mut receiver) = queue(100);
        let mut first = pin!(sender.send("a-0".to_owned()));
        assert!(poll!(&mut first).is_pending(), "it lets others go first");
        assert!(send(&sender, "a", 1..9).await.is_empty(), "they need not wait");
        assert!(receiver.0.changed.notified().now_or_never().is_none(), "nobody has woken it");
        assert!(first.await.is_ok());
        assert!(receiver.0.changed.notified().now_or_never().is_some());
        assert_eq!(gather(&mut receiver, 100).unwrap().len(), 9);
    }

    #[tokio::test]
    async fn an_item_is_taken_even_if_its_sender_is_given_up() {
        let (sender, mut receiver) = queue(100);
        let gathered = tokio::spawn(async move { receiver.gather(100).await });
        tokio::task::yield_now().await;
        assert!(sender.send("a-0".to_owned()).now_or_never().is_none(), "it lets others go first");
        assert_eq!(gathered.await.unwrap(), ["a-0"]);
    }

    #[tokio::test]
    async fn items_are_taken_until_none_is_left_and_no_more_can_come() {
        let (sender, mut receiver) = queue(4);
        assert!(gather(&mut receiver, 4).is_none(), "it waits");
        assert!(send(&sender, "a", 0..1).await.is_empty());
        drop(sender);
        assert_eq!(gather(&mut receiver, 4).unwrap(), ["a-0"]);
        assert!(gather(&mut receiver, 4).unwrap().is_empty());

        let (sender, receiver) = queue(4);
        drop(receiver);
        assert_eq!(send(&sender, "a", 0..1).await, ["a-0"]);
    }
}
