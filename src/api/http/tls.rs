//! Connections with TLS: the handshake, and then HTTP/1.1 or HTTP/2 as the client asks.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_http::{HttpService, Request, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, always_ready, fn_factory};
use actix_web::{
    Error, ResponseError as _,
    body::BoxBody,
    dev::{AppConfig, ServiceResponse},
};
use futures_util::future::{LocalBoxFuture, ready};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate::HTTP_2,
    connections::Connections,
    http2,
    limits::{KEEP_ALIVE, REQUEST_TIMEOUT},
};
use crate::{api::error::ApiError, random};

/// The first byte of a TLS connection: a record of the handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// How long a client of HTTP/1.1 may take to close its side, as the framework has it without TLS.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What the connections of all workers need.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) connections: Connections,
    /// Says that the server is about to stop.
    pub(super) stop: GracefulShutdownSignal,
}

/// Serves the connections of one worker.
struct Worker<S, H> {
    tls: Tls,
    app: Rc<S>,
    http1: Rc<H>,
}

/// What a worker does with a connection. Every worker has its own app.
pub(super) fn service<A, F>(
    app: impl Fn() -> A,
    tls: Tls,
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
        let (app, tls) = (app().into_factory().new_service(AppConfig::default()), tls.clone());
        async move {
            let app = Rc::new(app.await?);
            let http1 = Rc::new(http1(Rc::clone(&app), tls.stop.clone()).await?);
            Ok(Worker { tls, app, http1 })
        }
    })
}

/// HTTP/1.1 by the framework, as without TLS.
async fn http1<S>(
    app: Rc<S>,
    stop: GracefulShutdownSignal,
) -> Result<impl Service<(TlsStream<TcpStream>, Option<SocketAddr>), Response = (), Error = DispatchError>, ()>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error, Future: 'static> + 'static,
{
    let app = fn_factory(move || ready(Ok::<_, ()>(Rc::clone(&app))));
    let stopped = move || {
        let stop = stop.clone();
        async move { stop.notified().await }
    };
    let service = HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .secure()
        .graceful_shutdown_signal(stopped)
        .h1(app);
    service.new_service(()).await
}

impl<S, H> Service<TcpStream> for Worker<S, H>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    H: Service<(TlsStream<TcpStream>, Option<SocketAddr>), Response = ()> + 'static,
{
    type Response = ();
    type Error = ();
    type Future = LocalBoxFuture<'static, Result<(), ()>>;

    always_ready!();

    fn call(&self, stream: TcpStream) -> Self::Future {
        let Self { tls, app, http1 } = self;
        let (tls, app, http1) = (tls.clone(), Rc::clone(app), Rc::clone(http1));
        Box::pin(async move {
            let _open = tls.connections.open();
            let accepted = tokio::select! {
                accepted = timeout(REQUEST_TIMEOUT, accept(stream, tls.config)) => accepted,
                () = tls.stop.notified() => return Ok(()),
            };
            let stream = match accepted {
                Ok(Ok(Some(stream))) => stream,
                Ok(Ok(None)) | Err(_) => return Ok(()),
                Ok(Err(error)) => {
                    tracing::debug!(cause = %error, "no TLS connection");
                    return Ok(());
                }
            };
            if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
                http2::serve(stream, &*app, &tls.stop).await;
            } else {
                // What a client sends wrong is not an error of the service.
                let _ = http1.call((stream, None)).await;
            }
            Ok(())
        })
    }
}

/// The TLS connection; `None` if the client does not speak TLS.
async fn accept(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first != [HANDSHAKE] {
        refuse(&mut stream).await?;
        return Ok(None);
    }
    // The small messages of a handshake and of HTTP/2 do not wait for each other.
    stream.set_nodelay(true)?;
    TlsAcceptor::from(config).accept(stream).await.map(Some)
}

/// Says in plain HTTP that this is the wrong protocol.
async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    let error = ApiError::TlsRequired;
    let body = serde_json::to_string(&error.body(random::uuid(), None))?;
    let answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n{body}",
        error.status_code(),
        body.len(),
    );
    // Bytes that nobody read would reset the connection, and the answer with it.
    let _ = stream.read(&mut [0; 4096]).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
