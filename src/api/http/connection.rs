//! What a worker does with a connection: TLS if the server has a certificate, then HTTP/1.1 or HTTP/2 as the client asks.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc};

use actix_http::{HttpService, Request, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, always_ready, fn_factory};
use actix_web::{
    Error,
    body::BoxBody,
    dev::{AppConfig, ServiceResponse},
    rt,
};
use futures_util::future::{LocalBoxFuture, ready};
use rustls::ServerConfig;
use tokio::{net::TcpStream, time::timeout};

use super::{
    certificate::HTTP_2,
    connections::Connections,
    exchange::{App, Exchanges},
    gate::Line,
    http2,
    limits::{CLOSE_TIMEOUT, KEEP_ALIVE, PIECE_BYTES_MAX, REQUEST_TIMEOUT},
    peer::Peer,
    stream::Stream,
    tls,
};
use crate::api::budget::Budget;

/// What the connections of all workers need.
#[derive(Clone)]
pub(super) struct Common {
    /// With it, all connections have TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) connections: Connections,
    pub(super) bodies: Budget,
    /// Says that the server is about to stop.
    pub(super) stop: GracefulShutdownSignal,
}

/// Serves the connections of one worker.
struct Worker<S, H> {
    common: Common,
    line: Rc<Line>,
    app: Rc<S>,
    http1: Rc<H>,
}

/// What a worker does with a connection. Every worker has its own app.
pub(super) fn service<A, F>(
    app: impl Fn() -> A,
    common: Common,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()>
where
    A: IntoServiceFactory<F, Request>,
    F: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
            Future: 'static,
            Service: Service<Request, Future: 'static> + 'static,
        >,
{
    fn_factory(move || {
        let (app, common) = (app().into_factory().new_service(AppConfig::default()), common.clone());
        async move {
            let app = Rc::new(app.await?);
            let http1 = Rc::new(http1(Rc::clone(&app), common.stop.clone()).await?);
            let line = Rc::new(Line::default());
            let running = Rc::clone(&line);
            rt::spawn(async move { running.run().await });
            Ok(Worker { common, line, app, http1 })
        }
    })
}

/// HTTP/1.1 by the framework.
async fn http1<S: App + 'static>(
    app: Rc<S>,
    stop: GracefulShutdownSignal,
) -> Result<impl Service<(Stream, Option<SocketAddr>), Response = (), Error = DispatchError>, ()> {
    let app = fn_factory(move || ready(Ok::<_, ()>(Exchanges(Rc::clone(&app)))));
    let stopped = move || {
        let stop = stop.clone();
        async move { stop.notified().await }
    };
    let service = HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_TIMEOUT)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .h1_write_buffer_size(PIECE_BYTES_MAX)
        .graceful_shutdown_signal(stopped)
        .on_connect_ext(|stream: &Stream, extensions| drop(extensions.insert(Rc::clone(&stream.peer))))
        .h1(app);
    service.new_service(()).await
}

impl<S, H> Service<TcpStream> for Worker<S, H>
where
    S: App + 'static,
    H: Service<(Stream, Option<SocketAddr>), Response = ()> + 'static,
{
    type Response = ();
    type Error = ();
    type Future = LocalBoxFuture<'static, Result<(), ()>>;

    always_ready!();

    fn call(&self, stream: TcpStream) -> Self::Future {
        let Self { common, line, app, http1 } = self;
        let (common, line) = (common.clone(), Rc::clone(line));
        let worker = Self { common, line, app: Rc::clone(app), http1: Rc::clone(http1) };
        Box::pin(async move {
            worker.serve(stream).await;
            Ok(())
        })
    }
}

impl<S: App, H: Service<(Stream, Option<SocketAddr>), Response = ()>> Worker<S, H> {
    async fn serve(&self, stream: TcpStream) {
        let Common { tls: _, connections, bodies, stop } = &self.common;
        let peer = tokio::select! {
            open = connections.open() => Peer::new(open, &self.line),
            () = stop.notified() => return,
        };
        let accepted = tokio::select! {
            accepted = timeout(REQUEST_TIMEOUT, self.accept(stream, &peer)) => accepted,
            () = stop.notified() => return,
            () = peer.given_way() => return,
        };
        let (stream, is_http2) = match accepted {
            Ok(Ok(Some(accepted))) => accepted,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::debug!(cause = %error, "no TLS connection");
                return;
            }
        };
        let served = async {
            if is_http2 {
                http2::serve(stream.clone(), &*self.app, bodies, stop).await;
            } else {
                tokio::select! {
                    // What a client sends wrong is not an error of the service.
                    _ = self.http1.call((stream.clone(), None)) => {}
                    () = peer.given_way() => {}
                }
            }
        };
        peer.gate.serve(served).await;
        stream.close().await;
    }

    /// The stream, with TLS if the server has a certificate, and whether it speaks HTTP/2. `None` if the client does not
    /// speak TLS.
    async fn accept(&self, stream: TcpStream, peer: &Rc<Peer>) -> io::Result<Option<(Stream, bool)>> {
        // The small messages of a handshake and of HTTP/2 do not wait for each other.
        stream.set_nodelay(true)?;
        let Some(config) = &self.common.tls else {
            return Ok(Some((Stream::new(stream, Rc::clone(peer), true), false)));
        };
        let accepted = tls::accept(stream, Arc::clone(config)).await?;
        Ok(accepted.map(|stream| {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            (Stream::new(stream, Rc::clone(peer), !is_http2), is_http2)
        }))
    }
}
