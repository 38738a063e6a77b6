use std::io::{ErrorKind, Write as _};

use clap::{Args, ValueEnum};

use crate::contract;

/// Print the contract
#[derive(Debug, Args)]
pub(super) struct Openapi {
    /// The form to print it in
    #[arg(long, default_value = "yaml")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// As it is written
    Yaml,
    /// The same, as JSON
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
            // Whoever reads, such as `head`, has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}
