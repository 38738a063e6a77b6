//! What SQLite does without the service.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use customers_api::store::{Access, DatabaseUrl, Store};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{BigInt, Binary, Text},
    sqlite::SqliteConnection,
};

use crate::{customer::customer, dice::dice, ids::Ids};

/// How many rows one transaction has.
const GROUP: usize = 64;

/// How many rows are made for one measurement: more than a second is enough for.
const ROWS_MAX: usize = 100_000;

/// How many bytes sealing adds to a record.
const SEAL_BYTES: usize = 29;

/// What SQLite alone makes durable: the same rows, in the same table of a file of its own, in groups of 64.
pub(crate) struct Upserts {
    connection: SqliteConnection,
    ids: Ids,
    number: usize,
}

impl Upserts {
    pub(crate) fn new(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("upserts.db");
        let url: DatabaseUrl = format!("sqlite:{}", path.display()).parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        drop(runtime.block_on(Store::open(&url, Access::Create))?);
        let mut connection = SqliteConnection::establish(path.to_str().context("the path is not UTF-8")?)?;
        connection.batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; \
             PRAGMA secure_delete = ON;",
        )?;
        Ok(Self { connection, ids: Ids::fresh(false), number: 0 })
    }

    /// How many rows a second become durable.
    #[allow(clippy::cast_precision_loss, reason = "far fewer rows than 2^52")]
    pub(crate) fn measure(&mut self, time: Duration) -> anyhow::Result<f64> {
        let first = self.number;
        let rows: Vec<(String, Vec<u8>)> = (first..first + ROWS_MAX)
            .map(|number| {
                let record =
                    [vec![1; SEAL_BYTES], serde_json::to_vec(&customer(number, 1 + number % 3))?].concat();
                Ok((self.ids.id(number), record))
            })
            .collect::<anyhow::Result<_>>()?;
        let started = Instant::now();
        let mut count = 0;
        for group in rows.chunks_exact(GROUP) {
            if started.elapsed() > time {
                break;
            }
            self.connection.immediate_transaction(|connection| {
                for (id, record) in group {
                    upsert(connection, id, record, count + first)?;
                    count += 1;
                }
                diesel::QueryResult::Ok(())
            })?;
        }
        self.number += rows.len();
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }
}

fn upsert(
    connection: &mut SqliteConnection,
    id: &str,
    record: &[u8],
    number: usize,
) -> diesel::QueryResult<usize> {
    let version = [dice(6, number).to_be_bytes(), dice(7, number).to_be_bytes()].concat();
    let now = 1_700_000_000_000_000 + i64::try_from(number).unwrap_or(i64::MAX);
    sql_query(
        "INSERT INTO customers (account, customer_id, version, created_at, updated_at, sealed_by, record)
         VALUES ('sandbox', ?, ?, ?, ?, 'load', ?)
         ON CONFLICT (account, customer_id) DO UPDATE SET version = excluded.version,
             updated_at = excluded.updated_at, sealed_by = excluded.sealed_by, record = excluded.record",
    )
    .bind::<Text, _>(id)
    .bind::<Binary, _>(version)
    .bind::<BigInt, _>(now)
    .bind::<BigInt, _>(now)
    .bind::<Binary, _>(record)
    .execute(connection)
}

/// How long a commit of one small row takes on this disk, in microseconds: the middle of many.
pub(crate) fn commit_micros(directory: &Path) -> anyhow::Result<f64> {
    const COMMITS: usize = 500;
    let path = directory.join("commit.db");
    let mut connection = SqliteConnection::establish(path.to_str().context("the path is not UTF-8")?)?;
    connection.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, value BLOB);",
    )?;
    let mut times = Vec::new();
    for _ in 0..COMMITS {
        let started = Instant::now();
        connection.batch_execute("INSERT INTO rows (value) VALUES (zeroblob(500))")?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[COMMITS / 2].as_secs_f64() * 1e6)
}

/// How many signatures a database remembers, and how many bytes of its file they occupy.
pub(crate) fn used_signatures(path: &str) -> anyhow::Result<(i64, i64)> {
    #[derive(QueryableByName)]
    struct Table {
        #[diesel(sql_type = BigInt)]
        entries: i64,
        #[diesel(sql_type = BigInt)]
        bytes: i64,
    }
    let mut connection = SqliteConnection::establish(path)?;
    let table = sql_query(
        "SELECT (SELECT count(*) FROM used_signatures) AS entries,
             (SELECT sum(pgsize) FROM dbstat WHERE name = 'used_signatures') AS bytes",
    );
    let Table { entries, bytes } = table.get_result(&mut connection)?;
    Ok((entries, bytes))
}
