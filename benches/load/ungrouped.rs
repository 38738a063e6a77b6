//! The server with one transaction for each write, to show what group commit saves. The product has no such option.

use std::thread::available_parallelism;

use anyhow::{Context as _, ensure};
use customers_api::{
    api::{self, Api, Settings, Sockets},
    record::Records,
    store::{Access, DatabaseUrl, Store},
    telemetry::{self, LogFormat},
};
use tokio::signal::unix::{SignalKind, signal};

/// With this argument first, the program is the server, and takes its arguments.
pub(crate) const ARGUMENT: &str = "--serve-ungrouped";

/// Serves the sandbox until SIGTERM.
pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let [command, listen, address, database, url, mode] = arguments else {
        anyhow::bail!("the arguments of `serve` are others");
    };
    ensure!(
        [command, listen, database, mode].map(String::as_str)
            == ["serve", "--listen", "--database-url", "--sandbox"],
        "the arguments of `serve` are others"
    );
    telemetry::start(LogFormat::Text, "info".parse()?);
    let url: DatabaseUrl = url.parse()?;
    let listen = address.parse()?;
    let workers = available_parallelism().map_or(1, usize::from);
    actix_web::rt::System::new().block_on(async move {
        let store = Store::open_with_groups(&url, Access::Create, 1).await?;
        let settings =
            Settings { audience: "customers-api".to_owned(), base_path: "/".parse()?, sandbox: true };
        let api = Api::new(settings, store, Records::default()).await?;
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
