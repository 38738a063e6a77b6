//! The server with one transaction for each write, to show what group commit saves. The product has no such option.

use std::thread::available_parallelism;

use anyhow::Context as _;
use clap::Parser as _;
use customers_api::{
    api::{self, Api, Settings, Sockets},
    record::Records,
    store::{Access, Store},
    telemetry::{self, LogFormat},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::serve::Serve;

/// With this argument first, the program is the server, and takes its arguments.
pub(crate) const ARGUMENT: &str = "--serve-ungrouped";

/// Serves the sandbox until SIGTERM.
pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let Serve { listen, database_url, sandbox, seal_keys, .. } = Serve::parse_from(arguments);
    telemetry::start(LogFormat::Text, "info".parse()?);
    let workers = available_parallelism().map_or(1, usize::from);
    actix_web::rt::System::new().block_on(async move {
        let store = Store::open_with_groups(&database_url, Access::Create, 1).await?;
        let records = Records::start(&store, seal_keys, false).await?;
        let settings = Settings { audience: "customers-api".to_owned(), base_path: "/".parse()?, sandbox };
        let api = Api::new(settings, store, records).await?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = api::run(api, Sockets { listen, workers, connections_max: 1024, tls: None })?;
        println!("ready at http://{}/", server.address);
        let handle = server.handle.clone();
        tokio::task::spawn(async move {
            terminate.recv().await;
            handle.stop(true).await;
        });
        server.stopped().await.context("the server failed")
    })
}
