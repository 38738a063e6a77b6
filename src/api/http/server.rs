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
    connections::Connections,
    limits::{KEEP_ALIVE, REQUEST_TIMEOUT},
    middleware::{Scheme, respond},
    routes,
    tls::{self, Tls},
};
use crate::api::state::Api;

/// The limit of the framework for a stop. [`Stopper`] has a shorter one.
const SHUTDOWN_SECONDS: u64 = 24 * 60 * 60;

/// How many connections the admin listener takes.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// How many connections the system keeps until they are accepted.
const BACKLOG: u32 = 2048;

/// Where the server listens, and how many threads it has.
#[derive(Debug, Clone)]
pub struct Sockets {
    /// The address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The number of worker threads.
    pub workers: usize,
    /// How many connections may be open. More of them wait until others are closed.
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
    #[must_use]
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
    let (api, connections) = (Data::new(api), Connections::new(connections_max));
    let (data, opened) = (Data::clone(&api), connections.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let app = move || {
        App::new()
            .app_data(Scheme(scheme))
            .app_data(Data::clone(&data))
            .configure(|config| routes::configure(config, &data.settings.base_path))
            .wrap(from_fn(respond))
    };
    // The framework limits the connections of each worker.
    let workers = workers.min(connections_max);
    let worker_connections_max = connections_max / workers;
    let (address, running) = if let Some(certificate) = tls {
        let config = Arc::new(certificate.server_config().map_err(io::Error::other)?);
        let listener = bind(listen)?;
        let address = listener.local_addr()?;
        let server = actix_server::Server::build()
            .workers(workers)
            .max_concurrent_connections(worker_connections_max)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .disable_signals();
        let tls = Tls { config, connections: opened, stop: server.graceful_shutdown_signal() };
        let service = move || tls::service(app.clone(), tls.clone());
        (address, server.listen("https", listener, service)?.run())
    } else {
        let server = HttpServer::new(app)
            .workers(workers)
            .max_connections(worker_connections_max)
            .on_connect(move |_, extensions| drop(extensions.insert(opened.open())))
            .client_request_timeout(REQUEST_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .disable_signals()
            .bind(listen)?;
        let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
        (address, server.run())
    };
    Ok(Server { address, scheme, handle: running.handle(), running, connections, api })
}

/// A listener like that of the framework.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
