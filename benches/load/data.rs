//! What is in the database before the load and after it.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use customers_api::{
    account::Account,
    clock,
    model::CustomerInput,
    random,
    signature::{Algorithm, PrivateKey},
    store::{Access, Condition, DatabaseUrl, Record, SigningKey, Store, Version},
};
use diesel::{Connection as _, connection::SimpleConnection as _, sqlite::SqliteConnection};
use futures_util::future::try_join_all;
use tokio::runtime::Runtime;

use crate::customer::customer;

/// How many calls of the store wait at once: less than it takes.
const CALLS: usize = 512;

/// The account of all that is signed.
const ACCOUNT: &str = "load";

/// A database that is ready for the load.
pub(crate) struct Data {
    pub(crate) url: String,
    pub(crate) customers: u32,
    runtime: Runtime,
    store: Store,
    keys: Vec<(Algorithm, String, PrivateKey)>,
}

/// The id of one of the customers that are there from the start.
pub(crate) fn seed_id(number: usize) -> String {
    format!("seed-{number:08}")
}

impl Data {
    pub(crate) fn prepare(
        url: String,
        customers: u32,
        identities: usize,
        keys: usize,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let parsed: DatabaseUrl = url.parse()?;
        let store = runtime.block_on(Store::open(&parsed, Access::Create))?;
        let mut data = Self { url, customers, runtime, store, keys: Vec::new() };
        for number in 0..keys.max(Algorithm::ALL.len()) {
            data.register(Algorithm::ALL[number % Algorithm::ALL.len()])?;
        }
        let last = (customers as usize).checked_sub(1).map(seed_id);
        let is_seeded = last.is_none_or(|id| data.check(Some(ACCOUNT), &[id]).is_ok());
        if !is_seeded {
            let started = Instant::now();
            match &parsed {
                DatabaseUrl::Sqlite(path) => seed_sqlite(path, customers, identities)?,
                DatabaseUrl::Postgres(_) => data.seed(identities)?,
            }
            println!("{customers} customers were put into the database in {:.1?}", started.elapsed());
        }
        Ok(data)
    }

    /// The key that signs.
    pub(crate) fn key(&self, algorithm: Algorithm) -> (&str, &PrivateKey) {
        let index = Algorithm::ALL.iter().position(|one| *one == algorithm).unwrap_or_default();
        let (_, key_id, key) = &self.keys[index];
        (key_id, key)
    }

    /// That every one of these customers is there; `None` is the sandbox's account.
    pub(crate) fn check(&self, account: Option<&str>, ids: &[String]) -> anyhow::Result<()> {
        let account = account.map_or_else(|| Ok(Account::sandbox()), str::parse)?;
        for ids in ids.chunks(CALLS) {
            let found = ids.iter().map(|id| {
                let id = id.parse();
                async { Ok::<_, anyhow::Error>(self.store.get(&account, &id?).await?) }
            });
            for (id, found) in ids.iter().zip(self.runtime.block_on(try_join_all(found))?) {
                ensure!(found.is_some(), "{id} was acknowledged, but is not in the database");
            }
        }
        Ok(())
    }

    /// The account that an algorithm's key belongs to.
    pub(crate) fn account(algorithm: Option<Algorithm>) -> Option<&'static str> {
        algorithm.map(|_| ACCOUNT)
    }

    fn register(&mut self, algorithm: Algorithm) -> anyhow::Result<()> {
        let key = PrivateKey::generate(algorithm)?;
        let key_id = random::uuid().to_string();
        let row = SigningKey {
            key_id: key_id.clone(),
            account: ACCOUNT.parse()?,
            algorithm: algorithm.to_string(),
            public_key: key.public_key()?.to_pem().to_owned(),
            created: clock::now().into(),
            revoked: None,
        };
        ensure!(self.runtime.block_on(self.store.add_signing_key(row))?, "a random key id is taken");
        self.keys.push((algorithm, key_id, key));
        Ok(())
    }

    /// Through the store, as any engine takes it.
    fn seed(&self, identities: usize) -> anyhow::Result<()> {
        let account: Account = ACCOUNT.parse()?;
        for first in (0..self.customers as usize).step_by(CALLS) {
            let puts = (first..self.customers as usize).take(CALLS).map(|number| {
                let (id, input) =
                    (seed_id(number).parse(), serde_json::from_value(customer(number, identities)));
                let account = &account;
                async move {
                    let input: CustomerInput = input?;
                    let record = Record { bytes: serde_json::to_vec(&input)?, sealed_by: None };
                    let put = self.store.put(account, id?, Version::new(), record, Condition::Always, None);
                    Ok::<_, anyhow::Error>(put.await?)
                }
            });
            self.runtime.block_on(try_join_all(puts))?;
        }
        Ok(())
    }
}

/// In one statement, because there may be millions.
fn seed_sqlite(path: &Path, customers: u32, identities: usize) -> anyhow::Result<()> {
    let customer: CustomerInput = serde_json::from_value(customer(0, identities))?;
    let record = serde_json::to_string(&customer)?.replace('\'', "''");
    let mut connection = SqliteConnection::establish(path.to_str().context("the path is not UTF-8")?)?;
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = 5000;
         WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {customers})
         INSERT OR REPLACE INTO customers (account, customer_id, version, created_at, updated_at, record)
         SELECT '{ACCOUNT}', printf('seed-%08d', n), randomblob(16), 1700000000000000 + n, 1700000000000000 + n,
             CAST('{record}' AS BLOB)
         FROM numbers;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(())
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
