use crate::postgres_cluster;
use customers_api::store::{Access, DatabaseUrl, Store};
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
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
    _directory: Option<TempDir>,
}

impl Engine {
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
