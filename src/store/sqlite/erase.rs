//! The eraser: what was deleted or replaced leaves the files, too.
//!
//! `secure_delete` overwrites a deleted row where it was. Copies of it may remain in the write-ahead log, and in the gaps
//! of pages that SQLite has rebalanced. So after deletes the eraser goes over all pages, clears the gaps, and truncates the
//! log. It works in small steps, because the writer waits while one is made.
//!
//! The table `garbage` says whether there is anything to erase. Triggers write it whenever a customer is deleted or replaced.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use diesel::{
    QueryResult, RunQueryDsl as _, connection::SimpleConnection as _, dsl::sql, sql_types::Integer,
    sqlite::SqliteConnection,
};
use tokio::sync::oneshot;

use super::{
    super::error::StoreError,
    connect::Connection,
    file::File,
    page::clear_gap,
    sql::{ReadPage, WritePage},
};
use crate::{
    telemetry::{Outage, StoreMetrics, chain},
    threads::Threads,
};

/// How long after a delete the eraser begins, at most. With the time for a large file this stays below a minute.
const PAUSE: Duration = Duration::from_secs(15);

/// How long to wait after a failure, such as a reader that still needs the log.
const RETRY_PAUSE: Duration = Duration::from_secs(3);

const STEP_PAGES: i32 = 512;

/// How long to rest after a step, so that the eraser takes at most about a third of a core.
const STEP_REST: Duration = Duration::from_millis(4);

const WRITE_PAGES: usize = 32;

/// How often the log is tried to be emptied, between the commits of the writer.
const TRUNCATIONS_MAX: usize = 100;
const TRUNCATION_PAUSE: Duration = Duration::from_millis(3);

const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The sending side. Clones share the thread.
#[derive(Clone)]
pub(super) struct Eraser {
    orders: SyncSender<Order>,
}

const FAILS: &str = "deleted rows are not erased yet: it is tried until it succeeds";
const IS_OVER: &str = "deleted rows are erased: nothing holds them in the files any more";

/// Asks for a pass at once.
type Order = oneshot::Sender<Result<(), StoreError>>;

impl Eraser {
    pub(super) fn start(threads: &Threads, file: &File, metrics: StoreMetrics) -> Result<Self, StoreError> {
        let connection = Connection::open_first(file.path(), LOCK_PATIENCE)?;
        let (orders, received) = sync_channel(1);
        let mut state =
            State { connection, can_clear_gaps: true, was_interrupted: true, metrics, outage: Outage::new() };
        let reads_pages =
            state.connection.run(|connection| ReadPage { number: 1 }.load::<Vec<u8>>(connection));
        if let Err(error) = reads_pages {
            tracing::warn!(
                cause = %chain(&error),
                "this build cannot erase deleted rows whole: build it inside its folder, where .cargo/config.toml is"
            );
            state.can_clear_gaps = false;
        }
        threads.spawn("sqlite-eraser", move || state.run(&received)).map_err(StoreError::failed)?;
        Ok(Self { orders })
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
    /// Whether SQLite was built with `sqlite_dbpage`.
    can_clear_gaps: bool,
    /// Whether the last pass may not have come to its end, such as one before the start.
    was_interrupted: bool,
    metrics: StoreMetrics,
    outage: Outage,
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
            self.outage.note(&erased, FAILS, IS_OVER);
            self.metrics.note_erase_wait(self.outage.time());
            if let Some(order) = order {
                // The caller may be gone.
                drop(order.send(erased));
            }
        }
    }

    fn erase(&mut self, is_urgent: bool) -> Result<(), StoreError> {
        if !self.is_due()? {
            return Ok(());
        }
        // What is deleted from now on sets it back.
        self.execute("UPDATE garbage SET state = 2")?;
        self.was_interrupted = true;
        if self.can_clear_gaps {
            self.clear_gaps(is_urgent)?;
        }
        self.truncate_log()?;
        self.was_interrupted = false;
        if self.can_clear_gaps {
            self.execute("UPDATE garbage SET state = 0 WHERE state = 2")?;
            // That is in the log now. If it has to stay there, no harm is done: it names nobody.
            self.truncate_log().ok();
        }
        Ok(())
    }

    fn is_due(&mut self) -> Result<bool, StoreError> {
        Ok(match self.number("SELECT state FROM garbage")? {
            0 => false,
            2 => self.was_interrupted,
            _ => true,
        })
    }

    fn execute(&mut self, statement: &str) -> Result<(), StoreError> {
        self.connection.run(|connection| connection.batch_execute(statement))
    }

    fn number(&mut self, query: &str) -> Result<i32, StoreError> {
        self.connection.run(|connection| sql::<Integer>(query).get_result(connection))
    }

    fn clear_gaps(&mut self, is_urgent: bool) -> Result<(), StoreError> {
        let (mut first, last) = (1, self.number("SELECT page_count FROM pragma_page_count")?);
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
    ///
    /// To empty the log, SQLite keeps writers out, and would do so for as long as it waits for others. So it waits for
    /// nobody, and is asked several times.
    fn truncate_log(&mut self) -> Result<(), StoreError> {
        self.execute("PRAGMA wal_checkpoint(PASSIVE)")?;
        for _ in 0..TRUNCATIONS_MAX {
            let truncated: Option<(i32, i32, i32)> = self.connection.run_unless_locked(|connection| {
                sql::<(Integer, Integer, Integer)>("PRAGMA wal_checkpoint(TRUNCATE)").get_result(connection)
            })?;
            if matches!(truncated, Some((0, _pages, _moved))) {
                return Ok(());
            }
            thread::sleep(TRUNCATION_PAUSE);
        }
        Err(StoreError::unavailable("a reader still needs the write-ahead log"))
    }
}

/// The page without what is in its gap; `None` if there is nothing in it.
fn cleared(connection: &mut SqliteConnection, number: i32) -> QueryResult<Option<Vec<u8>>> {
    let page: Option<Vec<u8>> = ReadPage { number }.load(connection)?.pop();
    Ok(page.and_then(|mut page| clear_gap(number, &mut page).then_some(page)))
}

/// The pages that have something in their gap.
fn with_gaps(connection: &mut SqliteConnection, pages: impl Iterator<Item = i32>) -> QueryResult<Vec<i32>> {
    let mut found = Vec::new();
    for number in pages {
        found.extend(cleared(connection, number)?.map(|_| number));
    }
    Ok(found)
}

/// Clears the gaps of these pages, as they are by now.
fn clear(connection: &mut SqliteConnection, pages: &[i32]) -> QueryResult<()> {
    connection.immediate_transaction(|connection| {
        for &number in pages {
            if let Some(page) = cleared(connection, number)? {
                WritePage { number, page: &page }.execute(connection)?;
            }
        }
        Ok(())
    })
}
