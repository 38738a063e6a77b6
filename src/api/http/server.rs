//! The HTTP server: sockets, workers, limits and shutdown.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web::Data};
use tokio::{
    net::TcpSocket,
    time::{sleep, timeout},
};

use super::{
    certificate::Certificate,
    connection::{self, Common},
    connections::Connections,
    limits::{Patience, REQUEST_TIMEOUT},
    middleware::respond,
    observed::Scheme,
    routes,
};
use crate::api::state::Api;

/// The limit of the framework for a stop. [`Stopper`] has a shorter one.
const SHUTDOWN_SECONDS: u64 = 24 * 60 * 60;

const ADMIN_CONNECTIONS_MAX: usize = 64;

/// How many connections of each worker wait for a place, if all are being served.
const WAITING_CONNECTIONS_MAX: usize = 64;

/// How many connections the system keeps until they are accepted.
const BACKLOG: u32 = 2048;

/// How many bytes of answers the system keeps for a connection until the client takes them. It doubles the number.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// Where the server listens, and how many threads it has.
#[derive(Debug, Clone)]
pub struct Sockets {
    /// The address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The number of worker threads.
    pub workers: usize,
    /// How many connections may be open. If there are more, those that have waited longest for their clients are closed.
    pub connections_max: usize,
    /// The certificate; with it, all connections have TLS.
    pub tls: Option<Certificate>,
}

/// A server that accepts requests.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What clients speak to it: `http` or `https`.
    pub scheme: &'static str,
    /// Stops it.
    pub handle: ServerHandle,
    running: actix_web::dev::Server,
    connections: Connections,
    api: Data<Api>,
}

/// Stops a server, and lets accepted requests finish.
pub struct Stopper {
    handle: ServerHandle,
    connections: Connections,
    api: Data<Api>,
}

impl Server {
    /// Waits until it has stopped.
    pub async fn stopped(self) -> io::Result<()> {
        self.running.await
    }

    /// Stops the server later.
    pub fn stopper(&self) -> Stopper {
        let Self { address: _, scheme: _, handle, running: _, connections, api } = self;
        Stopper { handle: handle.clone(), connections: connections.clone(), api: Data::clone(api) }
    }

    /// Starts to listen for those who run the service, on a worker of its own: it answers also when the others are busy,
    /// and until it is dropped.
    pub fn admin(&self, listen: SocketAddr) -> io::Result<Admin> {
        let api = Data::clone(&self.api);
        let app = move || App::new().app_data(Data::clone(&api)).configure(routes::configure_admin);
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(ADMIN_CONNECTIONS_MAX)
            .client_request_timeout(REQUEST_TIMEOUT)
            .disable_signals()
            .bind(listen)?;
        let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Admin { address, running: server.run() })
    }
}

/// The listener for those who run the service.
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    running: actix_web::dev::Server,
}

impl Admin {
    /// Answers until it is dropped, or fails.
    pub async fn stopped(self) -> io::Result<()> {
        self.running.await
    }
}

impl Stopper {
    /// Says that the service is not ready, and then stops to listen. Returns how many clients did not finish in time.
    pub async fn stop(self, drain: Duration, patience: Duration) -> usize {
        self.api.readiness.stop();
        sleep(drain).await;
        match timeout(patience, self.handle.stop(true)).await {
            Ok(()) => 0,
            Err(_late) => self.connections.count(),
        }
    }
}

/// Starts to listen. The caller handles signals.
pub fn run(api: Api, sockets: Sockets) -> io::Result<Server> {
    let Sockets { listen, workers, connections_max, tls } = sockets;
    let api = Data::new(api);
    let data = Data::clone(&api);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let app = move || {
        App::new()
            .app_data(Scheme(scheme))
            .app_data(Data::clone(&data))
            .configure(|config| routes::configure(config, &data.settings.base_path))
            .wrap(from_fn(respond))
    };
    let tls = tls.map(|certificate| certificate.server_config()).transpose().map_err(io::Error::other)?;
    let listener = bind(listen)?;
    let address = listener.local_addr()?;
    let workers = workers.min(connections_max);
    let server = actix_server::Server::build()
        .workers(workers)
        .max_concurrent_connections(connections_max.div_ceil(workers) + WAITING_CONNECTIONS_MAX)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals();
    let (tls, connections) = (tls.map(Arc::new), Connections::new(connections_max));
    let (stop, patience) = (server.graceful_shutdown_signal(), Patience::default());
    let common = Common { tls, connections: connections.clone(), api: Data::clone(&api), patience, stop };
    let service = move || connection::service(app.clone(), common.clone());
    let running = server.listen(scheme, listener, service)?.run();
    Ok(Server { address, scheme, handle: running.handle(), running, connections, api })
}

/// A listener like that of the framework.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it. Without it, the system keeps up to 4 MiB for each client that reads nothing.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
