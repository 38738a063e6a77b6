//! The engine for many replicas: Postgres, or what speaks its protocol.
//!
//! The engine has a thread of its own, where all connections live and all writes are made ([`mod@write`]). Reads take a
//! connection from a small pool, so that a slow read does not hold up the others. Keys and secrets have a connection of
//! their own. Nothing waits for ever, neither for a connection nor for an answer.

mod connect;
mod error;
mod export;
mod feed;
mod list;
mod lookup;
mod migrate;
pub(super) mod numberer;
mod readers;
mod sql;
mod tls;
pub(super) mod url;
mod walk;
mod write;

use std::{sync::Arc, time::Duration};

// Not the prelude: its `RunQueryDsl` is the synchronous one.
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName,
    sql_types::{BigInt, Nullable},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::future::join_all;
use tokio::{runtime::Builder, sync::oneshot, time::sleep};

use self::{
    connect::Connector,
    lookup::{Desk, Lookups},
    numberer::Numberer,
    readers::Readers,
    sql::{BY_INDEX, NUMBERING, PRUNE, PRUNE_ROWS_MAX},
    url::PostgresUrl,
    write::Writer,
};
use super::{
    error::StoreError,
    exported::{Export, Parts},
    followers::Followers,
    group::Lane,
    page::{Listed, PageQuery},
    row::CustomerRow,
    schema::feed_heads,
    used::expired_before,
};
use crate::{
    telemetry::{Outage, StoreMetrics},
    threads::Threads,
};

/// How many connections write: with two, one group fills up while another commits, and a row that somebody else has locked
/// holds up its own writes only.
const LANES: usize = 2;

/// How many connections read lists. With the others, the lanes, the keys', the events' and the check's, a replica has eleven
/// connections.
const LIST_READERS: usize = 3;

/// One numbers, and one looks for what is left.
const EVENT_READERS: usize = 2;

const KEY_READERS: usize = 1;

/// How many connections do nothing but show whether the database answers.
const CHECK_READERS: usize = 1;

/// Reads a row of each table that every request needs.
const CHECK: &str = "SELECT name FROM secrets LIMIT 1; SELECT version FROM customers LIMIT 1";

const PRUNE_PAUSE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Postgres {
    readers: Readers,
    lookups: Lookups,
    keys: Readers,
    checks: Readers,
    numberer: Arc<Numberer>,
    connector: Arc<Connector>,
}

impl Postgres {
    pub(super) async fn open(
        url: &PostgresUrl,
        lanes: [Lane; LANES],
        threads: &Threads,
        followers: Followers,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let url = url.clone();
        let (reply, opened) = oneshot::channel();
        let engine = move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(serve(&url, lanes, followers, metrics, reply)),
            // The caller may be gone.
            Err(error) => drop(reply.send(Err(StoreError::failed(error)))),
        };
        threads.spawn("postgres", engine).map_err(StoreError::failed)?;
        opened.await.map_err(StoreError::failed)?
    }

    async fn start(
        url: &PostgresUrl,
        followers: Followers,
        metrics: StoreMetrics,
    ) -> Result<(Self, Desk), StoreError> {
        let connector = Arc::new(Connector::new(url)?);
        migrate::migrate(&connector).await?;
        let readers = Readers::new(&connector, LIST_READERS, BY_INDEX);
        let [keys, checks] =
            [KEY_READERS, CHECK_READERS].map(|readers| Readers::new(&connector, readers, ""));
        let (lookups, desk) = Lookups::new(&connector);
        let numberer = Numberer::new(Readers::new(&connector, EVENT_READERS, NUMBERING), followers, metrics);
        Ok((Self { readers, lookups, keys, checks, numberer, connector }, desk))
    }

    /// The record is empty if it has more bytes.
    pub(super) async fn find(
        &self,
        account: &str,
        id: &str,
        record_bytes_max: i64,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.lookups.find(account, id, record_bytes_max).await
    }

    /// On the engine's thread: elsewhere, each part of the answer would be handed over, which takes longer than to read it.
    pub(super) async fn list(&self, query: PageQuery) -> Result<Listed, StoreError> {
        let begun = list::begun(&query)?;
        let readers = self.readers.clone();
        let query = Arc::new((query, begun));
        let list = async move {
            let read = readers.run(async move |connection| {
                let query = Arc::clone(&query);
                list::read(&query.0, query.1.as_ref(), connection).await
            });
            read.await
        };
        self.connector.runtime.spawn(list).await.map_err(StoreError::failed)?
    }

    /// Runs a query that may take long, and may be repeated.
    pub(super) async fn read<T>(
        &self,
        query: impl AsyncFnMut(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.readers.run(query).await
    }

    pub(super) async fn newest_events(
        &self,
        accounts: Vec<String>,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let newest = async |connection: &mut AsyncPgConnection| {
            let newest = feed_heads::table.filter(feed_heads::account.eq_any(&accounts));
            newest.select((feed_heads::account, feed_heads::newest)).load(connection).await
        };
        self.readers.run(newest).await
    }

    pub(super) async fn number_events(&self) -> Result<(), StoreError> {
        self.numberer.number_all().await
    }

    pub(super) async fn prune_events(&self, before: i64) -> Result<bool, StoreError> {
        self.readers.run(async |connection| feed::prune(before, connection).await).await
    }

    pub(super) async fn export(
        &self,
        send_all: impl AsyncFnOnce(&mut AsyncPgConnection, Parts<'_>) -> QueryResult<()> + Send + 'static,
    ) -> Result<Export, StoreError> {
        export::start(&self.connector, send_all).await
    }

    /// Runs a query on keys and secrets, which may be repeated.
    pub(super) async fn query<T>(
        &self,
        query: impl AsyncFnMut(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.keys.run(query).await
    }

    /// Shows that the database answers, whatever all the other connections are busy with. It reads real rows: a server that
    /// accepts connections may still not be able to read its tables.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.checks.run(async |connection| connection.batch_execute(CHECK).await).await
    }

    /// Prunes expired signatures now and then, in small steps. Each replica does so, beside its writes.
    async fn prune(&self) {
        let (mut from, outage) = (i64::MIN, Outage::new());
        loop {
            let pruned = self.prune_step(from).await;
            outage.note(
                &pruned,
                "expired signatures cannot be pruned",
                "expired signatures are pruned again",
            );
            if let Ok(Pruned { count, last }) = pruned {
                // To begin where the last step ended spares the server the rows that are deleted but still there.
                from = last.unwrap_or(i64::MIN);
                if count == PRUNE_ROWS_MAX {
                    continue;
                }
            }
            sleep(PRUNE_PAUSE).await;
        }
    }

    async fn prune_step(&self, from: i64) -> Result<Pruned, StoreError> {
        let pruned = self.readers.run(async |connection| {
            let prune = diesel::sql_query(PRUNE).bind::<BigInt, _>(from).bind::<BigInt, _>(expired_before());
            prune.get_result(connection).await
        });
        pruned.await
    }
}

#[derive(QueryableByName)]
struct Pruned {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
}

/// Runs the engine's thread, until the last store is gone and its last write is made.
async fn serve(
    url: &PostgresUrl,
    lanes: [Lane; LANES],
    followers: Followers,
    metrics: StoreMetrics,
    reply: oneshot::Sender<Result<Postgres, StoreError>>,
) {
    match Postgres::start(url, followers, metrics).await {
        Ok((engine, desk)) => {
            // The caller may be gone; then the queues are closed, too.
            drop(reply.send(Ok(engine.clone())));
            let writer = || Writer::new(Arc::clone(&engine.connector), Arc::clone(&engine.numberer));
            let write = |lane: Lane| lane.run(writer());
            tokio::select! {
                _ = join_all(lanes.map(write)) => {}
                () = engine.prune() => {}
                () = engine.numberer.run() => {}
                () = desk.run() => {}
            }
        }
        Err(error) => drop(reply.send(Err(error))),
    }
}
