//! How many requests of a connection begin and are served at a time.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
};

use tokio::sync::Semaphore;

/// How many requests of a connection are served at the same time. The others wait.
pub(super) const SERVED_MAX: usize = 32;

/// One request of a connection begins each time that the worker comes to the connection. So a connection with many requests
/// holds up its own ones, and not those of others.
pub(super) struct Gate {
    entry: Semaphore,
    waiting: Cell<usize>,
    inside: Cell<usize>,
}

/// The place of a request that is served, until this is dropped.
pub(super) struct Place(Rc<Gate>);

impl Gate {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { entry: Semaphore::new(1), waiting: Cell::new(0), inside: Cell::new(0) })
    }

    /// Waits until a request may begin.
    pub(super) async fn enter(self: Rc<Self>) -> Place {
        let waiting = Counted::new(&self.waiting);
        // It is never closed.
        if let Ok(permit) = self.entry.acquire().await {
            permit.forget();
        }
        drop(waiting);
        self.inside.set(self.inside.get() + 1);
        Place(self)
    }

    /// Serves the connection, and opens the gate each time that the worker comes to it.
    pub(super) async fn serve<T>(&self, connection: impl Future<Output = T>) -> T {
        let mut connection = pin!(connection);
        poll_fn(|context| {
            if self.has_room() && self.entry.available_permits() == 0 {
                self.entry.add_permits(1);
            }
            let polled = connection.as_mut().poll(context);
            if self.has_room() && self.waiting.get() > 0 {
                // The worker comes again when it has been at the other connections.
                context.waker().wake_by_ref();
            }
            polled
        })
        .await
    }

    fn has_room(&self) -> bool {
        self.inside.get() < SERVED_MAX
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inside.set(self.0.inside.get() - 1);
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
    use std::cell::RefCell;

    use futures_util::{future::join_all, poll};

    use super::*;

    #[tokio::test]
    async fn one_request_begins_each_time_that_the_worker_comes_to_the_connection() {
        let order = RefCell::new(Vec::new());
        let connection = async |name: &'static str, requests: usize| {
            let gate = Gate::new();
            let requests = join_all((0..requests).map(|_| async {
                let _place = Rc::clone(&gate).enter().await;
                order.borrow_mut().push(name);
            }));
            gate.serve(requests).await;
        };
        let (mut many, mut few) = (pin!(connection("many", 5)), pin!(connection("few", 1)));
        while poll!(&mut many).is_pending() {
            if order.borrow().len() == 1 {
                assert!(poll!(&mut few).is_ready());
            }
        }
        assert_eq!(*order.borrow(), ["many", "few", "many", "many", "many", "many"]);
    }

    #[tokio::test]
    async fn a_request_beyond_those_that_are_served_waits_for_one_of_them() {
        let (gate, leave, begun) = (Gate::new(), Semaphore::new(0), Cell::new(0));
        let requests = join_all((0..=SERVED_MAX).map(|_| async {
            let place = Rc::clone(&gate).enter().await;
            begun.set(begun.get() + 1);
            leave.acquire().await.unwrap().forget();
            drop(place);
        }));
        let mut connection = pin!(gate.serve(requests));
        for _ in 0..2 * SERVED_MAX {
            assert!(poll!(&mut connection).is_pending());
        }
        assert_eq!(begun.get(), SERVED_MAX);
        leave.add_permits(1);
        for _ in 0..2 {
            assert!(poll!(&mut connection).is_pending());
        }
        assert_eq!(begun.get(), SERVED_MAX + 1);
    }
}
