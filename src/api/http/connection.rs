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
    web::Data,
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
    limits::{CLOSE_TIMEOUT, KEEP_ALIVE, PIECE_BYTES_MAX, Patience, REQUEST_TIMEOUT},
    peer::Peer,
    stream::Stream,
    tls,
};
use crate::api::state::Api;

/// What the connections of all workers need.
#[derive(Clone)]
pub(super) struct Common {
    /// With it, all connections have TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) connections: Connections,
    pub(super) api: Data<Api>,
    pub(super) patience: Patience,
    /// Says that the server is about to stop.
    pub(super) stop: GracefulShutdownSignal,
}

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
        let Common { tls: _, connections, api, patience, stop } = &self.common;
        let peer = tokio::select! {
            open = connections.open(|| api.make_room()) => Peer::new(open, &self.line, *patience),
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
                http2::serve(stream.clone(), &*self.app, &api.bodies, stop).await;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{App as Site, web};
    use futures_util::future::join;
    use h2::{Reason, client};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::Semaphore,
    };

    use super::{super::stream::Io, *};
    use crate::api::budget::Budget;

    /// Far longer than anything here takes.
    const LONG: Duration = Duration::from_secs(60);

    const SHORT: Duration = Duration::from_millis(100);

    /// Far more than the system keeps for a client.
    static LARGE: [u8; 64 * 1024 * 1024] = [0; 64 * 1024 * 1024];

    async fn app() -> Rc<impl App + 'static> {
        let large = || async { web::Bytes::from_static(&LARGE) };
        let site = Site::new()
            .route("/large", web::get().to(large))
            .route("/small", web::get().to(|| async { "small" }));
        Rc::new(site.into_factory().new_service(AppConfig::default()).await.unwrap())
    }

    fn stop() -> GracefulShutdownSignal {
        actix_server::Server::build().graceful_shutdown_signal()
    }

    async fn peer(patience: Patience) -> Rc<Peer> {
        let (open, line) = (Connections::new(1).open(|| {}).await, Rc::default());
        let peer = Peer::new(open, &line, patience);
        rt::spawn(async move { line.run().await });
        peer
    }

    /// A client, and the server's side of its connection.
    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn connect(patience: Patience) -> (TcpStream, Stream) {
        let (client, server) = sockets().await;
        (client, Stream::new(server, peer(patience).await, true))
    }

    #[actix_web::test]
    async fn a_client_of_http_1_that_takes_nothing_of_its_answer_is_cut_off() {
        let (mut client, stream) = connect(Patience { taking: SHORT, answer: LONG }).await;
        let http1 = http1(app().await, stop()).await.unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let gate = Rc::clone(&stream.peer.gate);
        let ended =
            timeout(LONG, gate.serve(http1.call((stream, None)))).await.expect("it is cut off in time");
        let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        assert!(matches!(&ended, Err(DispatchError::Io(error)) if is_late(error)), "{ended:?}");
    }

    /// The task that serves a client of HTTP/1.1. Each request takes a permit, and is answered with “done”.
    async fn held(server: impl Io + 'static, permits: &Rc<Semaphore>) -> rt::task::JoinHandle<()> {
        let permits = Rc::clone(permits);
        let handler = web::to(move || {
            let permits = Rc::clone(&permits);
            async move {
                permits.acquire().await.unwrap().forget();
                "done"
            }
        });
        let site = Site::new().default_service(handler);
        let app = Rc::new(site.into_factory().new_service(AppConfig::default()).await.unwrap());
        let http1 = http1(app, stop()).await.unwrap();
        let stream = Stream::new(server, peer(Patience { taking: LONG, answer: LONG }).await, true);
        let gate = Rc::clone(&stream.peer.gate);
        rt::spawn(async move { drop(gate.serve(http1.call((stream, None))).await) })
    }

    async fn settle() {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }

    #[actix_web::test]
    async fn of_the_requests_that_come_before_one_is_answered_few_are_read() {
        let (kept, permits) = (16 * 1024, Rc::new(Semaphore::new(0)));
        let (mut client, server) = tokio::io::duplex(kept);
        let _served = held(server, &permits).await;
        let requests =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nPadding: {}\r\n\r\n", "a".repeat(900)).repeat(32);
        let requests = requests.as_bytes();
        let mut sent = 0;
        let send = async {
            while sent < requests.len() {
                sent += client.write(&requests[sent..]).await.unwrap();
            }
        };
        tokio::select! {
            () = send => {}
            () = settle() => {}
        }
        let read = sent - kept;
        assert!((1_000..=4 * 1024).contains(&read), "{read}");

        permits.add_permits(32);
        let (mut answers, mut rest) = tokio::io::split(client);
        let read = async {
            let mut read = Vec::new();
            while String::from_utf8_lossy(&read).matches("done").count() < 32 {
                answers.read_buf(&mut read).await.unwrap();
            }
        };
        let (all, ()) = timeout(LONG, join(rest.write_all(&requests[sent..]), read)).await.unwrap();
        all.unwrap();
    }

    #[actix_web::test]
    async fn a_client_of_http_1_that_is_gone_before_it_is_answered_is_noticed() {
        let (mut client, server) = sockets().await;
        let served = held(server, &Rc::new(Semaphore::new(0))).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT").await.unwrap();
        settle().await;
        client.set_zero_linger().unwrap();
        drop(client);
        timeout(LONG, served).await.expect("it is noticed").unwrap();
    }

    /// The requests of a client of HTTP/2, and the tasks that serve them.
    async fn http2(patience: Patience) -> (client::SendRequest<web::Bytes>, rt::task::JoinHandle<()>) {
        let (client, stream) = connect(patience).await;
        let app = app().await;
        let (gate, bodies) = (Rc::clone(&stream.peer.gate), Budget::new(usize::MAX));
        let served =
            rt::spawn(async move { gate.serve(http2::serve(stream, &*app, &bodies, &stop())).await });
        let (requests, connection) = client::handshake(client).await.unwrap();
        rt::spawn(async move { drop(connection.await) });
        (requests, served)
    }

    async fn get(requests: &client::SendRequest<web::Bytes>, path: &str) -> h2::RecvStream {
        let request = http::Request::get(format!("http://localhost{path}")).body(()).unwrap();
        let mut requests = requests.clone().ready().await.unwrap();
        requests.send_request(request, true).unwrap().0.await.unwrap().into_body()
    }

    #[actix_web::test]
    async fn a_client_of_http_2_that_takes_nothing_of_its_answer_is_cut_off() {
        let (requests, served) = http2(Patience { taking: SHORT, answer: LONG }).await;
        // Nothing of it is released, so that the window stays full.
        let _body = get(&requests, "/large").await;
        timeout(LONG, served).await.expect("it is cut off in time").unwrap();
    }

    #[actix_web::test]
    async fn an_answer_of_http_2_that_takes_too_long_ends_alone() {
        let (requests, _served) = http2(Patience { taking: LONG, answer: SHORT }).await;
        let mut body = get(&requests, "/large").await;
        let end = async {
            loop {
                match body.data().await {
                    Some(Ok(_)) => {}
                    end => return end,
                }
            }
        };
        let error = timeout(LONG, end).await.expect("it ends in time").unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        // What came of it gives back the window.
        drop(body);
        let mut small = get(&requests, "/small").await;
        assert_eq!(small.data().await.unwrap().unwrap(), "small", "on the same connection");
    }
}
