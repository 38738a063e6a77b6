//! The command line: one file for each subcommand.
//!
//! Misuse exits with 2, as clap has it, and failure with 1; either says why in a line on standard error.

mod keys;
mod migrate;
mod openapi;
mod serve;
mod sign;

use clap::{Parser, Subcommand};

use crate::{
    account::Account,
    model::Timestamp,
    store::{Access, DatabaseUrl, Store},
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
        }
    }
}

/// Where the database is.
#[derive(Debug, clap::Args)]
struct Database {
    /// The database: sqlite:PATH
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:customers.db",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: DatabaseUrl,
}

impl Database {
    async fn open(&self, access: Access) -> anyhow::Result<Store> {
        use anyhow::Context as _;
        let Self { database_url } = self;
        Store::open(database_url, access).await.with_context(|| format!("cannot open {database_url}"))
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
