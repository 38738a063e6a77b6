//! The command line: one file for each subcommand.
//!
//! The exit code is 2 after misuse, as is usual with clap, and 1 after a failure. Either says why on standard error. It
//! is 0 also if the reader of standard output went away.

mod arguments;
mod backup;
mod chains;
mod database;
mod endpoint_options;
mod event_lines;
mod events;
mod export;
mod healthcheck;
mod import;
mod input;
mod keys;
mod lines;
mod listen;
mod members;
mod migrate;
mod ndjson;
mod openapi;
mod output;
mod progress;
mod rows;
mod seal;
mod seal_options;
mod serve;
mod sign;
mod stop;
mod supervisor;
mod tls_options;
mod verify;
mod webhook_list;
mod webhook_options;
mod webhooks;

use std::{env, process::ExitCode};

use clap::{Parser, Subcommand};

const MISUSE: u8 = 2;

/// The version, and what is built in.
const VERSION: &str = if cfg!(feature = "otlp") {
    concat!(env!("CARGO_PKG_VERSION"), " (otlp)")
} else {
    env!("CARGO_PKG_VERSION")
};

/// The customer service behind PUT /customers/{CustomerID}
#[derive(Debug, Parser)]
#[command(version = VERSION, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
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
    Healthcheck(healthcheck::Healthcheck),
    Migrate(migrate::Migrate),
    Keys(keys::Keys),
    Sign(sign::Sign),
    Openapi(openapi::Openapi),
    Verify(verify::Verify),
    Seal(seal::Seal),
    Events(events::Events),
    Webhooks(Box<webhooks::Webhooks>),
    Backup(backup::Backup),
    Export(export::Export),
    Import(import::Import),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let done = arguments::parse::<Cli>(env::args_os()).map_err(anyhow::Error::from).and_then(Cli::run);
    let Err(error) = done else { return ExitCode::SUCCESS };
    match error.downcast::<clap::Error>() {
        Ok(misuse) if misuse.use_stderr() => {
            // Nobody is left to tell if this fails.
            let _ = output::explain(&misuse);
            ExitCode::from(MISUSE)
        }
        Ok(help) => output::explain(&help).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS),
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    output::note(format_args!("error: {error:#}"));
    ExitCode::FAILURE
}

impl Cli {
    fn run(self) -> anyhow::Result<()> {
        // These end in a way of their own.
        if !matches!(self.command, Command::Serve(_) | Command::Backup(_) | Command::Events(_)) {
            stop::end_on_signal()?;
        }
        actix_web::rt::System::new().block_on(async {
            match self.command {
                Command::Serve(command) => command.run().await,
                Command::Healthcheck(command) => command.run(),
                Command::Migrate(command) => command.run().await,
                Command::Keys(command) => command.run().await,
                Command::Sign(command) => command.run(),
                Command::Openapi(command) => command.run(),
                Command::Verify(command) => command.run().await,
                Command::Seal(command) => command.run().await,
                Command::Events(command) => command.run().await,
                Command::Webhooks(command) => command.run().await,
                Command::Backup(command) => command.run().await,
                Command::Export(command) => command.run().await,
                Command::Import(command) => command.run().await,
            }
        })
    }
}
