use clap::{Args, ValueEnum};

use super::output;
use crate::contract;

/// Print the API contract, openapi.yaml
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct Openapi {
    /// The format to print
    #[arg(long, default_value = "yaml")]
    format: Format,
    /// The version of OpenAPI
    #[arg(long, default_value = "3.1", value_name = "VERSION")]
    version: Version,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// As it is written, with comments
    Yaml,
    /// The same document as JSON
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    /// As it is written
    #[value(name = "3.1")]
    Written,
    /// The same meaning, for tools that do not read 3.1
    #[value(name = "3.0")]
    Older,
}

impl Openapi {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match (self.format, self.version) {
            (Format::Yaml, Version::Written) => output::print_raw(contract::YAML),
            (Format::Yaml, Version::Older) => {
                output::print_raw(&yaml_serde::to_string(contract::document_3_0())?)
            }
            (Format::Json, Version::Written) => output::print(contract::document()),
            (Format::Json, Version::Older) => output::print(contract::document_3_0()),
        }
    }
}
