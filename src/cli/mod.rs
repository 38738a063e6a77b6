//! The command line: one file for each subcommand.
//!
//! The exit code is 2 after misuse, as is usual with clap, and 1 after a failure. Either prints why on standard error.

mod database;
mod keys;
mod migrate;
mod openapi;
mod progress;
mod rows;
mod seal;
mod seal_options;
mod serve;
mod sign;
mod stop;
mod verify;

use clap::{Parser, Subcommand};

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
      Try the service without signatures, then open http://127.0.0.1:8080/
  customers-api keys generate --account acme --out private.pem
      Generate a key pair and register the public key
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
    Seal(seal::Seal),
}

impl Cli {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(command) => block_on(command.run()),
            Command::Migrate(command) => block_on(command.run()),
            Command::Keys(command) => block_on(command.run()),
            Command::Sign(command) => command.run(),
            Command::Openapi(command) => command.run(),
            Command::Verify(command) => block_on(command.run()),
            Command::Seal(command) => block_on(command.run()),
        }
    }
}

fn block_on(run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(run)
}
