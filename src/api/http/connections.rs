//! The open connections of all workers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Counts connections. Clones share the count.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    open: AtomicUsize,
    is_full: AtomicBool,
}

/// A connection that is open until this is dropped.
pub(super) struct Open(Connections);

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Shared { max, open: AtomicUsize::new(0), is_full: AtomicBool::new(false) }))
    }

    /// Counts a new connection. The first one that leaves no room for another is logged.
    pub(super) fn open(&self) -> Open {
        let Shared { max, open, is_full } = &*self.0;
        if open.fetch_add(1, Ordering::Relaxed) + 1 >= *max && !is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(max, "no more connections are accepted until others are closed");
        }
        Open(self.clone())
    }

    /// The number of open connections.
    pub(super) fn count(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Shared { max, open, is_full } = &*self.0.0;
        // Not at the limit itself, so that a connection that comes and goes there is not logged each time.
        if open.fetch_sub(1, Ordering::Relaxed) - 1 <= *max / 2 {
            is_full.store(false, Ordering::Relaxed);
        }
    }
}
