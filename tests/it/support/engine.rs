use crate::postgres_cluster;
use customers_api::store::{Access, DatabaseUrl, Store};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, connection::SimpleConnection as _,
    sql_types::BigInt,
};
use tempfile::TempDir;

/// The engines that a suite runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// An empty database of a test's own; gone when the test is.
pub(crate) struct Database {
    pub(crate) url: String,
    /// `None` also if the database is another one's.
    _directory: Option<TempDir>,
}

impl Engine {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sqlite => Self::Postgres,
            Self::Postgres => Self::Sqlite,
        }
    }

    pub(crate) async fn database(self) -> Database {
        match self {
            Self::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", directory.path().join("customers.db").display());
                Database { url, _directory: Some(directory) }
            }
            Self::Postgres => Database { url: postgres_cluster::database().await, _directory: None },
        }
    }
}

impl Database {
    /// A database that is somebody else's.
    pub(crate) fn at(url: String) -> Self {
        Self { url, _directory: None }
    }

    /// The same database, for another service; it is gone with the first one.
    pub(crate) fn shared(&self) -> Self {
        Self::at(self.url.clone())
    }

    pub(crate) async fn open(&self) -> Store {
        let url: DatabaseUrl = self.url.parse().unwrap();
        Store::open(&url, Access::Create).await.unwrap()
    }

    /// Runs a statement behind the service's back.
    pub(crate) async fn execute(&self, sql: &str) {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let mut connection = SqliteConnection::establish(path).unwrap();
            connection.batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}")).unwrap();
        } else {
            postgres_cluster::execute(&self.url, sql).await;
        }
    }

    /// How many signatures are remembered that carried out a write: those of the rows are in the rows.
    pub(crate) async fn used_signatures(&self) -> i64 {
        let shown = self.count("customers WHERE signature_expires_at IS NOT NULL").await;
        shown + self.count("used_signatures").await
    }

    /// How many rows a table has that fulfil a condition.
    pub(crate) async fn count(&self, rows: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let sql = format!("SELECT count(*) AS count FROM {rows}");
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let mut connection = SqliteConnection::establish(path).unwrap();
            connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
            diesel::sql_query(sql).get_result::<Count>(&mut connection).unwrap().count
        } else {
            postgres_cluster::connect(&self.url).await.query_one(&sql, &[]).await.unwrap().get(0)
        }
    }

    /// Keeps everybody else from writing seal keys, until [`Lock::release`].
    pub(crate) async fn lock_seal_keys(&self) -> Lock {
        self.lock_table("seal_keys").await
    }

    /// Keeps everybody else from writing customers, until [`Lock::release`].
    pub(crate) async fn lock(&self) -> Lock {
        self.lock_table("customers").await
    }

    /// Keeps everybody else from writing secrets of webhooks, until [`Lock::release`].
    pub(crate) async fn lock_webhook_secrets(&self) -> Lock {
        self.lock_table("webhook_secrets").await
    }

    /// How many sessions wait for a lock; on SQLite nobody knows.
    pub(crate) async fn waiting(&self) -> Option<i64> {
        let is_postgres = !self.url.starts_with("sqlite:");
        let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        if is_postgres { Some(self.count(waiting).await) } else { None }
    }

    async fn lock_table(&self, table: &str) -> Lock {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let mut connection = SqliteConnection::establish(path).unwrap();
            connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
            Lock::Sqlite(connection)
        } else {
            let client = postgres_cluster::connect(&self.url).await;
            client.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")).await.unwrap();
            Lock::Postgres(client)
        }
    }
}

/// Somebody who holds a lock.
pub(crate) enum Lock {
    Sqlite(SqliteConnection),
    Postgres(tokio_postgres::Client),
}

impl Lock {
    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => connection.batch_execute("ROLLBACK").unwrap(),
            Self::Postgres(client) => client.batch_execute("ROLLBACK").await.unwrap(),
        }
    }
}

/// Makes a test of each function, for each engine: `sqlite::name`.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[actix_web::test]
                async fn $test() {
                    super::$test($crate::support::Engine::Sqlite).await;
                }
            )*
        }

        mod postgres {
            $(
                #[actix_web::test]
                async fn $test() {
                    super::$test($crate::support::Engine::Postgres).await;
                }
            )*
        }
    };
}

pub(crate) use on_each_engine;
