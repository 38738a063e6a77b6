//! A thread that runs queries one after the other, on a connection of its own.

use std::{path::Path, time::Duration};

use diesel::{QueryResult, sqlite::SqliteConnection};
use tokio::sync::{
    mpsc::{self, Sender, error::TrySendError},
    oneshot,
};

use super::{super::error::StoreError, connect::Connection};
use crate::threads::Threads;

const QUEUE_QUERIES_MAX: usize = 1024;

const LOCK_PATIENCE: Duration = Duration::from_secs(2);

type Query = Box<dyn FnOnce(&mut Connection) + Send>;

/// The sending side. Clones share the thread, which ends when all of them are gone.
#[derive(Clone)]
pub(super) struct QueryThread(Sender<Query>);

impl QueryThread {
    pub(super) fn start(threads: &Threads, name: &'static str, path: &Path) -> Result<Self, StoreError> {
        let (sender, mut queries) = mpsc::channel::<Query>(QUEUE_QUERIES_MAX);
        let mut connection = Connection::open_first(path, LOCK_PATIENCE)?;
        let run = move || {
            while let Some(query) = queries.blocking_recv() {
                query(&mut connection);
            }
        };
        threads.spawn(name, run).map_err(StoreError::failed)?;
        Ok(Self(sender))
    }

    /// Runs a query on the thread, and waits for its result.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        // The caller may be gone.
        let query: Query = Box::new(move |connection| drop(reply.send(connection.run(query))));
        self.0.try_send(query).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::unavailable("the thread has ended"),
        })?;
        result.await.map_err(StoreError::unavailable)?
    }
}
