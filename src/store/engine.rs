//! An open database, and the engine behind it.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use super::{
    error::StoreError,
    followers::Followers,
    group::{GROUP_WRITES_MAX, Queue},
    postgres::Postgres,
    sqlite::Sqlite,
    types::Access,
    url::DatabaseUrl,
};
use crate::{scheduling::yielding::behind_new_tasks, telemetry::StoreMetrics, threads::Threads};

/// How long a caller waits for an answer, whatever the database does. The limits of the engines are shorter; this one
/// holds when several of them add up.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long nothing may be committed although it is tried, until a check fails.
const STALL_MAX: Duration = Duration::from_secs(5);

/// An open database. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Store {
    pub(super) engine: Engine,
    pub(super) writes: Queue,
    pub(super) followers: Followers,
    threads: Threads,
}

#[derive(Clone)]
pub(super) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// One call, on the engine that is open.
macro_rules! on {
    ($store:ident.$call:ident($($argument:expr),*)) => {
        match &$store.engine {
            Engine::Sqlite(engine) => engine.$call($($argument),*).await,
            Engine::Postgres(engine) => engine.$call($($argument),*).await,
        }
    };
}

impl Store {
    /// Waits until other requests that came at the same time are as far as this one, if their work in the database is
    /// cheaper then. SQLite works on the cores that verify signatures, and so it is best done in one go. Postgres works
    /// elsewhere meanwhile. A single request continues immediately.
    pub async fn await_others(&self) {
        if matches!(self.engine, Engine::Sqlite(_)) {
            behind_new_tasks().await;
        }
    }

    /// Opens the database and brings its tables up to date.
    pub async fn open(url: &DatabaseUrl, access: Access) -> Result<Self, StoreError> {
        Self::open_with_groups(url, access, GROUP_WRITES_MAX).await
    }

    /// The same, where a transaction takes at most so many writes.
    pub async fn open_with_groups(
        url: &DatabaseUrl,
        access: Access,
        group_writes_max: usize,
    ) -> Result<Self, StoreError> {
        let (threads, followers) = (Threads::default(), Followers::default());
        let metrics = StoreMetrics::new().map_err(StoreError::failed)?;
        let (engine, writes) = match url {
            DatabaseUrl::Sqlite(path) => {
                let (writes, [lane]) = Queue::with_lanes(group_writes_max, &metrics);
                let (path, threads, followers) = (path.clone(), threads.clone(), followers.clone());
                let open = move || Sqlite::open(&path, access, lane, &threads, followers, metrics);
                let engine = tokio::task::spawn_blocking(open).await.map_err(StoreError::failed)?;
                (Engine::Sqlite(engine?), writes)
            }
            // A connection cannot create a database, so a mistyped name is an error in any case.
            DatabaseUrl::Postgres(url) => {
                let (writes, lanes) = Queue::with_lanes(group_writes_max, &metrics);
                let engine = Postgres::open(url, lanes, &threads, followers.clone(), metrics);
                (Engine::Postgres(engine.await?), writes)
            }
        };
        Ok(Self { engine, writes, followers, threads })
    }

    /// The name of the engine.
    pub fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// What is counted and measured of the writes.
    pub fn metrics(&self) -> &StoreMetrics {
        self.writes.metrics()
    }

    /// How many writes wait.
    pub fn queue_writes(&self) -> usize {
        self.writes.len()
    }

    /// Waits until a thread of the store has ended, which must not happen while the store is used, and returns its name.
    /// The store cannot work any more then.
    pub async fn ended(&self) -> &'static str {
        self.threads.ended().await
    }

    /// Checks that the database answers within a second, that writes are committed if there are any, and that no thread
    /// has ended.
    pub async fn check(&self) -> Result<(), StoreError> {
        if let Some(thread) = self.threads.first_ended() {
            return Err(StoreError::unavailable(format!("the thread {thread} has ended")));
        }
        if self.writes.stall_time() > STALL_MAX {
            return Err(StoreError::unavailable("no write has been committed for 5 seconds"));
        }
        within(CHECK_TIMEOUT, async { on!(self.check()) }).await
    }
}

/// Ends the wait for an answer after a time.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, answer).await.map_err(StoreError::unavailable)?
}

pub(super) use on;
