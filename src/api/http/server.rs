//! The HTTP server: sockets, workers, limits and shutdown.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    middleware::from_fn,
    web::{Data, PayloadConfig},
};

use super::{middleware::respond, routes};
use crate::api::{settings::BODY_BYTES_MAX, state::Api};

/// How long a client may take to send the head of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long requests may take to finish after a stop was requested.
const SHUTDOWN_SECONDS: u64 = 30;

/// Where the server listens, and how many threads it has.
#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    /// The address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The number of worker threads.
    pub workers: usize,
}

/// A server that accepts requests.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Stops it.
    pub handle: ServerHandle,
    running: actix_web::dev::Server,
}

impl Server {
    /// Waits until it has stopped.
    pub async fn stopped(self) -> io::Result<()> {
        self.running.await
    }
}

/// Starts to listen. The caller handles signals.
pub fn run(api: Api, sockets: Sockets) -> io::Result<Server> {
    let api = Data::new(api);
    let app = move || {
        App::new()
            .app_data(Data::clone(&api))
            .app_data(PayloadConfig::new(BODY_BYTES_MAX))
            .configure(|config| routes::configure(config, &api.settings.base_path))
            .wrap(from_fn(respond))
    };
    let server = HttpServer::new(app)
        .workers(sockets.workers)
        .client_request_timeout(REQUEST_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .bind(sockets.listen)?;
    let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let running = server.run();
    Ok(Server { address, handle: running.handle(), running })
}
