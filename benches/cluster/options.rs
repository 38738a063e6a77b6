use std::path::PathBuf;

use clap::Parser;

/// The load of `scripts/cluster`
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// A replica of the service
    #[arg(long = "replica", value_name = "NAME=ADDRESS", required = true, value_parser = replica)]
    pub(crate) replicas: Vec<(String, String)>,
    /// The private key of a registered key
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// A replica without a client whose history is checked
    #[arg(long, value_name = "NAME")]
    pub(crate) without_history: Vec<String>,
    /// How many clients with a history ask each replica
    #[arg(long, default_value_t = 2)]
    pub(crate) clients: usize,
    /// Do not send a signed request a second time once it was acknowledged
    #[arg(long)]
    pub(crate) no_repeats: bool,
    /// Follow only after a line on standard input, from the newest event on and with a copy from the list
    #[arg(long)]
    pub(crate) begin_anew: bool,
    /// How long a client waits between two requests
    #[arg(long, default_value_t = 50)]
    pub(crate) pause_milliseconds: u64,
    /// Where the choices of the clients begin
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

fn replica(text: &str) -> Result<(String, String), &'static str> {
    let (name, address) = text.split_once('=').ok_or("must be NAME=ADDRESS")?;
    Ok((name.to_owned(), address.to_owned()))
}

impl Options {
    /// The indices of the replicas whose clients have a history.
    pub(crate) fn with_history(&self) -> Vec<usize> {
        let indices = 0..self.replicas.len();
        indices.filter(|&index| !self.without_history.contains(&self.replicas[index].0)).collect()
    }
}
