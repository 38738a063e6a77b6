//! The checkpointer: moves the write-ahead log into the file, beside the writer.
//!
//! A checkpoint writes pages all over the file and waits for the disk. The writer would make all callers wait for it. A
//! larger step also writes a page once that many groups have changed.

use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use diesel::{connection::SimpleConnection as _, sqlite::SqliteConnection};

use super::{super::error::StoreError, connect::Connection};
use crate::{telemetry::Outage, threads::Threads};

/// After so many writes the log is moved. They change about twice as many pages, 8 MiB.
const STEP_WRITES_MAX: usize = 1000;

/// With fewer writes than these, a checkpoint costs more than they do.
const STEP_WRITES_MIN: usize = 100;

/// After this time the log is moved, however far it is from the most: a small step holds others up for a shorter time.
const STEP_TIME: Duration = Duration::from_millis(400);

/// The writer's side.
pub(super) struct Checkpointer {
    orders: SyncSender<()>,
    /// How many writes came since the last order.
    writes: usize,
    ordered_at: Instant,
}

impl Checkpointer {
    pub(super) fn start(threads: &Threads, path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_first(path, Duration::ZERO)?;
        let (orders, received) = sync_channel(1);
        threads
            .spawn("sqlite-checkpointer", move || run(connection, &received))
            .map_err(StoreError::failed)?;
        Ok(Self { orders, writes: 0, ordered_at: Instant::now() })
    }

    /// Notes that so many writes were committed.
    pub(super) fn note(&mut self, writes: usize) {
        self.writes += writes;
        let is_enough = self.writes >= STEP_WRITES_MAX
            || self.writes >= STEP_WRITES_MIN && self.ordered_at.elapsed() >= STEP_TIME;
        if is_enough {
            (self.writes, self.ordered_at) = (0, Instant::now());
            // If it is full, the order that waits counts for these writes, too.
            self.orders.try_send(()).ok();
        }
    }
}

/// Makes checkpoints until the writer has ended.
fn run(mut connection: Connection, orders: &Receiver<()>) {
    let outage = Outage::new();
    while orders.recv().is_ok() {
        // It waits for nobody: what it cannot move is moved the next time.
        let checkpoint =
            |connection: &mut SqliteConnection| connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)");
        let (fails, is_over) =
            ("the write-ahead log cannot be moved into the file", "the write-ahead log is moved again");
        outage.note(&connection.run(checkpoint), fails, is_over);
    }
}
