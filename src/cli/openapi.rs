use std::io::{ErrorKind, Write as _};

use clap::{Args, ValueEnum};

use crate::contract;

/// Print the API contract, openapi.yaml
#[derive(Debug, Args)]
pub(super) struct Openapi {
    /// The format to print
    #[arg(long, default_value = "yaml")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// As it is written, with comments
    Yaml,
    /// The same document as JSON
    Json,
}

impl Openapi {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let written = match self.format {
            Format::Yaml => out.write_all(contract::YAML.as_bytes()),
            Format::Json => writeln!(out, "{}", contract::JSON.as_str()),
        };
        match written {
            // A reader such as `head` may close the pipe early.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}
