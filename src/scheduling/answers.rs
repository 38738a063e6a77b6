//! Answers of one thread to callers on others.
//!
//! A worker takes what other threads wake only now and then, one by one, while it has tasks of its own. So one caller of
//! each worker is woken, who tells the others of the same worker.

use std::{
    collections::HashMap,
    thread::{self, ThreadId},
};

use tokio::sync::oneshot;

/// A letter to one caller, which may bring those to others. It is delivered when it is called.
type Delivery = Box<dyn FnOnce(Post) + Send>;

/// What goes to the other callers of a worker when it is dropped.
#[derive(Default)]
pub(crate) struct Post(Vec<Delivery>);

impl Drop for Post {
    fn drop(&mut self) {
        for deliver in self.0.drain(..) {
            deliver(Self::default());
        }
    }
}

/// Where the answer to one caller is put.
pub(crate) struct Reply<T> {
    caller: ThreadId,
    sender: oneshot::Sender<(T, Post)>,
}

/// Where one caller waits for the answer.
pub(crate) struct Answer<T>(oneshot::Receiver<(T, Post)>);

/// For a caller on this thread.
pub(crate) fn reply<T>() -> (Reply<T>, Answer<T>) {
    let (sender, receiver) = oneshot::channel();
    (Reply { caller: thread::current().id(), sender }, Answer(receiver))
}

impl<T> Answer<T> {
    /// The answer; `None` if there will be none.
    pub(crate) async fn receive(self) -> Option<T> {
        let (answer, post) = self.0.await.ok()?;
        drop(post);
        Some(answer)
    }
}

impl<T: Send + 'static> Reply<T> {
    /// Whether the caller gave up.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    /// The answer, to be delivered when others are ready, too.
    pub(crate) fn letter(self, answer: T) -> Letter {
        // The caller may be gone: then the post is dropped here, and reaches the others all the same.
        let deliver = move |post| drop(self.sender.send((answer, post)));
        Letter { caller: self.caller, deliver: Box::new(deliver) }
    }
}

/// An answer on its way.
pub(crate) struct Letter {
    caller: ThreadId,
    deliver: Delivery,
}

impl Letter {
    pub(crate) fn deliver(self) {
        (self.deliver)(Post::default());
    }
}

/// Delivers answers that are ready at the same time.
pub(crate) fn deliver_all(letters: impl IntoIterator<Item = Letter>) {
    let mut workers: HashMap<ThreadId, Vec<Delivery>> = HashMap::new();
    for Letter { caller, deliver } in letters {
        workers.entry(caller).or_default().push(deliver);
    }
    for mut others in workers.into_values() {
        if let Some(one) = others.pop() {
            one(Post(others));
        }
    }
}
