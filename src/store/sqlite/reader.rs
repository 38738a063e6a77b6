//! A thread that runs queries one after the other, on a connection of its own, and answers those that came together
//! together.

use std::{path::Path, thread, time::Duration};

use diesel::{QueryResult, sqlite::SqliteConnection};
use tokio::{
    runtime::Builder,
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
};

use super::{
    super::{
        error::StoreError,
        post::{self, Letter},
    },
    connect::Connection,
};
use crate::threads::Threads;

/// How many queries may wait.
const QUEUE_QUERIES_MAX: usize = 1024;

/// How long a query waits for a lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How many queries are answered together at most: their results are held in memory until then.
const ANSWERS_MAX: usize = 16;

type Query = Box<dyn FnOnce(&mut Connection) -> Letter + Send>;

/// The sending side. Clones share the thread.
#[derive(Clone)]
pub(super) struct Reader(Sender<Query>);

impl Reader {
    pub(super) fn start(threads: &Threads, name: &'static str, path: &Path) -> Result<Self, StoreError> {
        let (sender, queries) = mpsc::channel(QUEUE_QUERIES_MAX);
        let mut connection = Connection::open_first(path, LOCK_PATIENCE)?;
        let runtime = Builder::new_current_thread().build().map_err(StoreError::failed)?;
        let run = move || runtime.block_on(answer(queries, &mut connection));
        threads.spawn(name, run).map_err(StoreError::failed)?;
        Ok(Self(sender))
    }

    /// Runs a query on the thread, and waits for its result.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = post::reply();
        let query: Query = Box::new(move |connection| reply.letter(connection.run(query)));
        self.0.try_send(query).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::unavailable("the reader has ended"),
        })?;
        result.receive().await.ok_or_else(|| StoreError::unavailable("the reader has ended"))?
    }
}

async fn answer(mut queries: Receiver<Query>, connection: &mut Connection) {
    let mut came = Vec::with_capacity(ANSWERS_MAX);
    while queries.recv_many(&mut came, ANSWERS_MAX).await > 0 {
        // Where threads share a core, the first of several queries wakes this thread before the others are in the queue:
        // let the senders go first. Where a core is free, this takes no time.
        thread::yield_now();
        while came.len() < ANSWERS_MAX
            && let Ok(query) = queries.try_recv()
        {
            came.push(query);
        }
        let answers: Vec<Letter> = came.drain(..).map(|query| query(connection)).collect();
        post::deliver_all(answers);
    }
}
