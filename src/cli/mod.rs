//! The command line: one file for each subcommand.
//!
//! Misuse exits with 2, as clap has it, and failure with 1; either says why in a line on standard error.

mod keys;
mod migrate;
mod openapi;
mod serve;
mod sign;
mod verify;

use std::{
    ffi::OsStr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::{Arg, Parser, Subcommand, builder::TypedValueParser, error::ErrorKind};
use tokio::time::sleep;

use crate::{
    account::Account,
    model::Timestamp,
    store::{Access, DatabaseUrl, GROUP_WRITES_MAX, Store, StoreError},
    telemetry::chain,
};

/// The customer service behind PUT /customers/{CustomerID}
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  customers-api serve --sandbox
      Try it out: unsigned requests are accepted. Open http://127.0.0.1:8080/
  customers-api keys generate --account acme --out private.pem
      Make a signing key and register its public half
  customers-api sign GET /customers/c-1 --key private.pem
      Print the Api-Signature of a request";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Migrate(migrate::Migrate),
    Keys(keys::Keys),
    Sign(sign::Sign),
    Openapi(openapi::Openapi),
    Verify(verify::Verify),
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(command) => block_on(command.run()),
            Command::Migrate(command) => block_on(command.run()),
            Command::Keys(command) => block_on(command.run()),
            Command::Sign(command) => command.run(),
            Command::Openapi(command) => command.run(),
            Command::Verify(command) => block_on(command.run()),
        }
    }
}

/// How often a database that does not answer yet is tried.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Where the database is, and how long it may take to be there.
#[derive(Debug, clap::Args)]
struct Database {
    /// The database: sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:customers.db",
        value_name = "URL",
        value_parser = DatabaseUrlParser,
        hide_env_values = true
    )]
    database_url: DatabaseUrl,
    /// How many seconds to wait for a database that does not answer yet
    #[arg(long, env = "CUSTOMERS_DATABASE_WAIT", default_value_t = 0, value_name = "SECONDS")]
    database_wait: u32,
}

impl Database {
    async fn open(&self, access: Access) -> anyhow::Result<Store> {
        self.open_with_groups(access, GROUP_WRITES_MAX).await
    }

    async fn open_with_groups(&self, access: Access, group_writes_max: usize) -> anyhow::Result<Store> {
        let Self { database_url, database_wait } = self;
        let (start, wait) = (Instant::now(), Duration::from_secs((*database_wait).into()));
        loop {
            match Store::open_with_groups(database_url, access, group_writes_max).await {
                Err(StoreError::Unavailable(cause)) if start.elapsed() < wait => {
                    report(&format!("waiting for {database_url}: {}", chain(cause.as_ref())));
                    sleep(DATABASE_PAUSE.min(wait.saturating_sub(start.elapsed()))).await;
                }
                opened => return opened.with_context(|| format!("cannot open {database_url}")),
            }
        }
    }
}

/// Into the log, if there is one: the short commands have none.
fn report(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{line}");
    } else {
        eprintln!("{line}");
    }
}

/// Says what is wrong with a URL without showing it, because it may hold a password.
#[derive(Clone)]
struct DatabaseUrlParser;

impl TypedValueParser for DatabaseUrlParser {
    type Value = DatabaseUrl;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&Arg>,
        url: &OsStr,
    ) -> Result<DatabaseUrl, clap::Error> {
        let refuse = |why: &dyn std::fmt::Display| {
            let message = format!("invalid value for '--database-url <URL>': {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        };
        url.to_str().ok_or_else(|| refuse(&"is not UTF-8"))?.parse().map_err(|error| refuse(&error))
    }
}

fn block_on(run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(run)
}

fn now() -> Timestamp {
    crate::clock::now().into()
}

/// An account's name as an argument.
#[derive(Debug, clap::Args)]
struct Owner {
    /// The account that signs with the key, and whose customers it reaches
    #[arg(long, value_name = "NAME")]
    account: Account,
}
