use clap::{Args, ValueEnum};

use super::output;
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
        match self.format {
            Format::Yaml => output::print_raw(contract::YAML),
            Format::Json => output::print(contract::JSON.as_str()),
        }
    }
}
