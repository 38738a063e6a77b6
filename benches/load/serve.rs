//! The arguments of `customers-api serve` that the load test gives, for servers that stand in for the product.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use customers_api::store::DatabaseUrl;

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
pub(crate) struct Serve {
    #[arg(value_parser = ["serve"])]
    _command: String,
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long)]
    pub(crate) database_url: DatabaseUrl,
    #[arg(long, required = true)]
    pub(crate) sandbox: bool,
    #[arg(long)]
    pub(crate) seal_keys: Option<PathBuf>,
}
