//! When a request of a connection begins.
//!
//! The first request of a connection begins at once. Those that come while it is served wait in the line of the worker, which
//! lets one of them begin each time that the worker has been at everything else that is ready. So a connection with many
//! requests holds up its own ones, and not those of others.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
};

use tokio::sync::{Notify, Semaphore};

use crate::scheduling::yielding::behind_new_tasks;

/// How many requests of a connection are served at the same time. The others wait.
pub(super) const SERVED_MAX: usize = 32;

/// The connections of a worker that have requests which wait, each of them once.
#[derive(Default)]
pub(super) struct Line {
    gates: RefCell<VecDeque<Rc<Gate>>>,
    added: Notify,
}

/// Lets the requests of a connection begin.
pub(super) struct Gate {
    line: Rc<Line>,
    is_in_line: Cell<bool>,
    /// Has a permit for the request that begins next.
    entry: Semaphore,
    waiting: Cell<usize>,
    /// The requests that are served, and the one that has the permit.
    served: Cell<usize>,
    /// Whether a request has begun since the worker came to the connection.
    has_begun: Cell<bool>,
    /// How many bytes were read since then.
    read: Cell<usize>,
}

/// The place of a request that is served, until this is dropped.
pub(super) struct Place(Rc<Gate>);

impl Line {
    /// Lets requests begin, one of each connection in turn.
    pub(super) async fn run(&self) {
        loop {
            let next = self.gates.borrow_mut().pop_front();
            match next {
                Some(gate) => {
                    gate.is_in_line.set(false);
                    gate.open();
                    behind_new_tasks().await;
                    gate.wait_in_line();
                }
                None => self.added.notified().await,
            }
        }
    }
}

impl Gate {
    pub(super) fn new(line: &Rc<Line>) -> Rc<Self> {
        Rc::new(Self {
            line: Rc::clone(line),
            is_in_line: Cell::new(false),
            entry: Semaphore::new(0),
            waiting: Cell::new(0),
            served: Cell::new(0),
            has_begun: Cell::new(false),
            read: Cell::new(0),
        })
    }

    /// Waits until a request may begin.
    pub(super) async fn enter(self: Rc<Self>) -> Place {
        if self.served.get() + self.waiting.get() > 0 || self.has_begun.replace(true) {
            let waiting = Counted::new(&self.waiting);
            self.wait_in_line();
            // It is never closed.
            if let Ok(permit) = self.entry.acquire().await {
                permit.forget();
            }
            drop(waiting);
        } else {
            self.served.set(self.served.get() + 1);
        }
        Place(self)
    }

    /// Serves the connection.
    pub(super) async fn serve<T>(&self, connection: impl Future<Output = T>) -> T {
        let mut connection = pin!(connection);
        poll_fn(|context| {
            self.has_begun.set(false);
            self.read.set(0);
            connection.as_mut().poll(context)
        })
        .await
    }

    /// How many bytes were read since the worker came to the connection.
    pub(super) fn read(&self) -> usize {
        self.read.get()
    }

    pub(super) fn received(&self, bytes: usize) {
        self.read.set(self.read.get() + bytes);
    }

    /// Lets one request begin. There is a permit already if the one that it was meant for has gone.
    fn open(&self) {
        if self.waiting.get() > 0 && self.entry.available_permits() == 0 {
            self.served.set(self.served.get() + 1);
            self.entry.add_permits(1);
        }
    }

    fn wait_in_line(self: &Rc<Self>) {
        let may_begin = self.waiting.get() > 0 && self.served.get() < SERVED_MAX;
        if may_begin && !self.is_in_line.replace(true) {
            self.line.gates.borrow_mut().push_back(Rc::clone(self));
            self.line.added.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(gate) = self;
        gate.served.set(gate.served.get() - 1);
        gate.wait_in_line();
    }
}

/// Counts as one until this is dropped.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join, join_all};
    use tokio::task::yield_now;

    use super::*;

    /// Lets everything run that is ready.
    async fn settle() {
        for _ in 0..10 * SERVED_MAX {
            yield_now().await;
        }
    }

    /// The order in which requests begin, those of one connection after the other.
    async fn order(requests: [(&'static str, usize); 2]) -> Vec<&'static str> {
        let (line, order) = (Rc::new(Line::default()), RefCell::new(Vec::new()));
        let connection = async |(name, requests): (&'static str, usize)| {
            let gate = Gate::new(&line);
            let requests = join_all((0..requests).map(|_| async {
                let _place = Rc::clone(&gate).enter().await;
                order.borrow_mut().push(name);
                yield_now().await;
            }));
            gate.serve(requests).await;
        };
        let [first, second] = requests.map(connection);
        tokio::select! {
            biased;
            _ = join(first, second) => {}
            () = line.run() => {}
        }
        order.take()
    }

    #[tokio::test]
    async fn a_connection_with_many_requests_holds_up_no_other() {
        assert_eq!(order([("many", 4), ("few", 1)]).await, ["many", "few", "many", "many", "many"]);
        let both = order([("many", 5), ("few", 3)]).await;
        assert_eq!(both, ["many", "few", "many", "few", "many", "few", "many", "many"]);
    }

    #[tokio::test]
    async fn a_request_beyond_those_that_are_served_waits_for_one_of_them() {
        let line = Rc::new(Line::default());
        let (gate, leave, begun) = (Gate::new(&line), Semaphore::new(0), Cell::new(0));
        let requests = join_all((0..=SERVED_MAX).map(|_| async {
            let place = Rc::clone(&gate).enter().await;
            begun.set(begun.get() + 1);
            leave.acquire().await.unwrap().forget();
            drop(place);
        }));
        let watch = async {
            settle().await;
            assert_eq!(begun.get(), SERVED_MAX);
            leave.add_permits(1);
            settle().await;
            assert_eq!(begun.get(), SERVED_MAX + 1);
        };
        tokio::select! {
            () = watch => {}
            () = line.run() => {}
            _ = gate.serve(requests) => {}
        }
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_while_it_waits_holds_up_none() {
        let line = Rc::new(Line::default());
        let gate = Gate::new(&line);
        let first = Rc::clone(&gate).enter().await;
        let given_up = tokio::select! {
            biased;
            _ = Rc::clone(&gate).enter() => false,
            () = settle() => true,
        };
        assert!(given_up);
        let next = async {
            drop(Rc::clone(&gate).enter().await);
            drop(Rc::clone(&gate).enter().await);
        };
        tokio::select! {
            () = next => {}
            () = line.run() => {}
        }
        drop(first);
    }
}
