//! The eraser: what was deleted or replaced leaves the files, too.
//!
//! `secure_delete` overwrites a deleted row where it was. Copies of it may remain in the write-ahead log, and in the gaps
//! of pages that SQLite has rebalanced. So after deletes the eraser goes over all pages, clears the gaps, and truncates the
//! log. It works in small steps, because the writer waits while one is made.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types::Integer, sqlite::SqliteConnection};
use tokio::sync::oneshot;

use super::{
    super::error::StoreError,
    connect::Connection,
    file::File,
    page::clear_gap,
    sql::{ReadPage, WritePage},
};
use crate::{telemetry::chain, threads::Threads};

/// How long after a delete the eraser begins, at most. With the time for a large file this stays below a minute.
const PAUSE: Duration = Duration::from_secs(15);

/// How long to wait after a failure, such as a reader that still needs the log.
const RETRY_PAUSE: Duration = Duration::from_secs(3);

/// How many pages are read in one go.
const STEP_PAGES: i32 = 512;

/// How long to rest after a step, so that the eraser takes at most about a third of a core.
const STEP_REST: Duration = Duration::from_millis(4);

/// How many pages are written in one transaction.
const WRITE_PAGES: usize = 32;

/// How long the eraser waits for a lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The sending side. Clones share the thread.
#[derive(Clone)]
pub(super) struct Eraser {
    garbage: Arc<AtomicBool>,
    orders: SyncSender<Order>,
}

/// Asks for a pass at once.
type Order = oneshot::Sender<Result<(), StoreError>>;

impl Eraser {
    pub(super) fn start(threads: &Threads, file: &File) -> Result<Self, StoreError> {
        let connection = Connection::open_first(file.path(), LOCK_PATIENCE)?;
        let (orders, received) = sync_channel(1);
        // What was deleted before the start may not have been erased.
        let garbage = Arc::new(AtomicBool::new(true));
        let mut state = State { connection, garbage: Arc::clone(&garbage), can_clear_gaps: true };
        let reads_pages = state.connection.run(|connection| ReadPage(1).load::<Vec<u8>>(connection));
        if let Err(error) = reads_pages {
            tracing::warn!(
                cause = %chain(&error),
                "this build cannot erase deleted rows whole: build it inside its folder, where .cargo/config.toml is"
            );
            state.can_clear_gaps = false;
        }
        threads.spawn("sqlite-eraser", move || state.run(&received)).map_err(StoreError::failed)?;
        Ok(Self { garbage, orders })
    }

    /// Says that something was deleted or replaced.
    pub(super) fn note_garbage(&self) {
        self.garbage.store(true, Ordering::Release);
    }

    /// Erases at once, if there is anything to erase.
    pub(super) async fn erase(&self) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.orders.try_send(reply).map_err(|_| StoreError::Busy)?;
        done.await.map_err(StoreError::unavailable)?
    }
}

struct State {
    connection: Connection,
    garbage: Arc<AtomicBool>,
    /// Whether SQLite was built with `sqlite_dbpage`.
    can_clear_gaps: bool,
}

impl State {
    /// Erases now and then, until every [`Eraser`] is gone.
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut pause = PAUSE;
        loop {
            let order = match orders.recv_timeout(pause) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let erased = self.erase(order.is_some());
            pause = if erased.is_ok() { PAUSE } else { RETRY_PAUSE };
            match order {
                // The caller may be gone.
                Some(order) => drop(order.send(erased)),
                None => {
                    if let Err(error) = erased {
                        tracing::warn!(cause = %chain(&error), "deleted rows are not erased yet");
                    }
                }
            }
        }
    }

    fn erase(&mut self, is_urgent: bool) -> Result<(), StoreError> {
        if !self.garbage.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let erased = self.pass(is_urgent);
        if erased.is_err() {
            self.garbage.store(true, Ordering::Release);
        }
        erased
    }

    fn pass(&mut self, is_urgent: bool) -> Result<(), StoreError> {
        if self.can_clear_gaps {
            self.clear_gaps(is_urgent)?;
        }
        self.truncate_log()
    }

    fn clear_gaps(&mut self, is_urgent: bool) -> Result<(), StoreError> {
        let pages = self.connection.run(|connection| {
            sql_query("SELECT page_count AS value FROM pragma_page_count").get_result::<Number>(connection)
        })?;
        let (mut first, last) = (1, pages.value);
        while first <= last {
            let step = first..=last.min(first + STEP_PAGES - 1);
            let found = self.connection.run(|connection| with_gaps(connection, step))?;
            for numbers in found.chunks(WRITE_PAGES) {
                self.connection.run(|connection| clear(connection, numbers))?;
            }
            first += STEP_PAGES;
            if !is_urgent {
                thread::sleep(STEP_REST);
            }
        }
        Ok(())
    }

    /// Moves the log into the file, and empties it. A reader with an old snapshot delays this.
    fn truncate_log(&mut self) -> Result<(), StoreError> {
        let checkpoint = self.connection.run(|connection| {
            sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result::<Checkpoint>(connection)
        })?;
        if checkpoint.busy == 0 {
            Ok(())
        } else {
            Err(StoreError::unavailable("a reader still needs the write-ahead log"))
        }
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    value: i32,
}

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// The pages that have something in their gap.
fn with_gaps(
    connection: &mut SqliteConnection,
    pages: impl Iterator<Item = i32>,
) -> diesel::QueryResult<Vec<i32>> {
    let mut found = Vec::new();
    for number in pages {
        if let Some(mut page) = ReadPage(number).load::<Vec<u8>>(connection)?.pop()
            && clear_gap(number, &mut page)
        {
            found.push(number);
        }
    }
    Ok(found)
}

/// Clears the gaps of these pages, as they are by now.
fn clear(connection: &mut SqliteConnection, pages: &[i32]) -> diesel::QueryResult<()> {
    connection.immediate_transaction(|connection| {
        for &number in pages {
            if let Some(mut page) = ReadPage(number).load::<Vec<u8>>(connection)?.pop()
                && clear_gap(number, &mut page)
            {
                WritePage { number, page: &page }.execute(connection)?;
            }
        }
        Ok(())
    })
}
