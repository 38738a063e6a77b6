use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::time::sleep;

use super::output;
use crate::{
    store::{Access, DatabaseUrl, Store, StoreError},
    telemetry::chain,
};

/// How long to wait before the next attempt to open the database.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Where the database is, and how long to wait for it.
#[derive(Debug, clap::Args)]
pub(super) struct Database {
    /// The URL of the database: sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:customers.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) database_url: DatabaseUrl,
    /// How many seconds to wait until the database answers
    #[arg(long, env = "CUSTOMERS_DATABASE_WAIT", default_value_t = 0, value_name = "SECONDS")]
    database_wait: u32,
}

impl Database {
    /// Whether the database is a file that is not there yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(&self.database_url, DatabaseUrl::Sqlite(path) if !path.exists())
    }

    /// Says that the file was not there before: a mistyped name makes one, too.
    pub(super) fn note_that_it_is_new(&self) {
        output::note(format_args!("note: {} is a new database", self.database_url));
    }

    pub(super) async fn open(&self, access: Access) -> anyhow::Result<Store> {
        let Self { database_url, database_wait } = self;
        let (start, wait) = (Instant::now(), Duration::from_secs((*database_wait).into()));
        loop {
            match Store::open(database_url, access).await {
                Err(StoreError::Unavailable(cause)) if start.elapsed() < wait => {
                    report(&format!("waiting for {database_url}: {}", chain(cause.as_ref())));
                    sleep(DATABASE_PAUSE.min(wait.saturating_sub(start.elapsed()))).await;
                }
                opened => return opened.with_context(|| format!("cannot open {database_url}")),
            }
        }
    }
}

/// Logs a line; only `serve` has a log, so the other subcommands print it.
fn report(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{line}");
    } else {
        output::note(line);
    }
}
