use std::path::PathBuf;

use clap::Parser;

use crate::case::Case;

/// Drives the release binary, and prints what it can do beside what the cryptography alone can do
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Options {
    /// Put the server on the first core, and the load on the second
    #[arg(long)]
    pub(crate) pin: bool,
    /// How long to drive each case, about
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
    /// How long to drive `soak` and `steady` [default: 10 and 15]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) minutes: Option<u64>,
    /// How many connections drive each case, one figure for each number
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    pub(crate) connections: Vec<usize>,
    /// What to measure [default: everything that takes no minutes]
    #[arg(long = "case", value_delimiter = ',', value_name = "NAME")]
    pub(crate) cases: Vec<Case>,
    /// The database; it keeps what is put into it [default: a new file that is removed at the end]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// How many customers the database holds before anything is measured
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    pub(crate) customers: usize,
    /// How many identities a customer has [default: 1, 2 or 3 in turn]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) identities: Option<usize>,
    /// How many keys are registered, the two that sign among them
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    pub(crate) keys: usize,
    /// Over TLS 1.3
    #[arg(long)]
    pub(crate) tls: bool,
    /// Do not seal records
    #[arg(long)]
    pub(crate) plain: bool,
    /// Measure this build in turn with the other, and print ratios of the two
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// Measure plain records in turn with sealed ones, and print ratios of the two
    #[arg(long, conflicts_with_all = ["compare", "plain"])]
    pub(crate) compare_plain: bool,
    /// The database of what is compared with [default: a new file that is removed at the end]
    #[arg(long, value_name = "URL")]
    pub(crate) compare_database_url: Option<String>,
    /// Print each histogram
    #[arg(long)]
    pub(crate) histograms: bool,
    /// The server that is measured [default: the one that was built with this test]
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_customers-api"), hide_default_value = true)]
    pub(crate) server: PathBuf,
    /// What the server is started with besides, such as `--log off`
    #[arg(long = "server-argument", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) server_arguments: Vec<String>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}
