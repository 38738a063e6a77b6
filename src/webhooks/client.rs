//! Sends one request to a receiver of webhooks.
//!
//! A connection goes to an address that was checked just before, never to a name. Redirects and proxies are not followed. A
//! receiver holds neither memory nor a connection for longer than a request may take.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{
    HeaderValue, Method, Request, Response,
    header::{CONTENT_TYPE, HOST, InvalidHeaderValue, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use rustls_native_certs::load_native_certs;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    connection::{Connection, Kept},
    failure::{Failure, FailureKind, judge},
    network::{LookUps, Network, System},
    target::{Allowed, Target},
};
use crate::clock;

/// From the start of a request, with the look-up of the name, to the end of the answer's head.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(15);

/// How long a connection is used again.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);

/// How long the body of an answer is waited for. Otherwise the connection is closed.
const BODY_TIME_MAX: Duration = Duration::from_secs(1);

/// How much of the body of an answer is read, in bytes. Otherwise the connection is closed.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;

/// What requests name as their sender.
const SENDER: HeaderValue =
    HeaderValue::from_static(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));

/// What is sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// Names the event; the same in every try.
    pub id: String,
    /// When this try is made, in Unix seconds.
    pub timestamp: i64,
    /// An event in JSON.
    pub body: Bytes,
    /// The value of `webhook-signature`.
    pub signatures: String,
}

/// What a client depends on; tests have their own.
pub struct Settings {
    /// Names and connections.
    pub network: Arc<dyn Network>,
    /// Certificate authorities that are trusted besides those of the system.
    pub roots: Vec<CertificateDer<'static>>,
    /// From the start of a request to the end of the answer's head.
    pub head_time_max: Duration,
    /// How long a connection is used. Then the name of the host is looked up and checked once more.
    pub connection_time_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            network: Arc::new(System),
            roots: Vec::new(),
            head_time_max: HEAD_TIME_MAX,
            connection_time_max: CONNECTION_TIME_MAX,
        }
    }
}

/// Sends requests, and keeps connections for the next ones. It belongs to one runtime.
pub struct Client {
    allowed: Allowed,
    network: Arc<dyn Network>,
    look_ups: LookUps,
    tls: TlsConnector,
    kept: Kept,
    head_time_max: Duration,
    connection_time_max: Duration,
}

impl Client {
    /// A client that trusts the certificate authorities of the system, as `SSL_CERT_FILE` may name them. It reads them once.
    pub fn new(allowed: Allowed) -> Result<Self, rustls::Error> {
        Self::with(allowed, Settings::default())
    }

    /// A client with other settings.
    pub fn with(allowed: Allowed, settings: Settings) -> Result<Self, rustls::Error> {
        let Settings { network, roots, head_time_max, connection_time_max } = settings;
        Ok(Self {
            allowed,
            network,
            look_ups: LookUps::default(),
            tls: TlsConnector::from(Arc::new(tls_config(roots)?)),
            kept: Kept::default(),
            head_time_max,
            connection_time_max,
        })
    }

    /// Sends a request. It succeeds with the complete head of an answer that has the status 2xx, which it returns.
    pub async fn send(&self, target: &Target, message: &Message) -> Result<u16, Failure> {
        let deadline = Instant::now() + self.head_time_max;
        let request = request(target, message).map_err(|_| FailureKind::Protocol)?;
        let answer = timeout_at(deadline, self.answer(target, request, deadline)).await;
        let (connection, answer) = answer.map_err(|_| FailureKind::Timeout)??;
        let (head, body) = answer.into_parts();
        let until = deadline.min(Instant::now() + BODY_TIME_MAX);
        if let Ok(Some(connection)) = timeout_at(until, reusable(connection, body)).await {
            self.kept.keep(target.origin().to_owned(), connection);
        }
        judge(head.status, &head.headers, clock::now().into()).map(|()| head.status.as_u16())
    }

    /// The head of the answer, and the connection that it came by.
    async fn answer(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<(Connection, Response<Incoming>), FailureKind> {
        if let Some(mut kept) = self.kept.take(target.origin()) {
            match kept.send(request.clone()).await {
                // The receiver may close a connection that it did not use for a while, just when the request is sent.
                Err(FailureKind::Closed) => {}
                answer => return answer.map(|answer| (kept, answer)),
            }
        }
        let mut connection = self.connect(target, deadline).await?;
        let answer = connection.send(request).await?;
        Ok((connection, answer))
    }

    async fn connect(&self, target: &Target, deadline: Instant) -> Result<Connection, FailureKind> {
        if target.is_allowed() && !self.allowed.has(target.host()) {
            return Err(FailureKind::Address);
        }
        let addresses = match target.name() {
            Some(name) => self.look_ups.look_up(&*self.network, name).await,
            None => Vec::new(),
        };
        let stream = self.dial(&target.checked(addresses)?, deadline).await?;
        // A request is small, and is sent at once.
        stream.set_nodelay(true).map_err(|_| FailureKind::Connect)?;
        let used_until = Instant::now() + self.connection_time_max;
        if !target.is_https() {
            return Connection::over(stream, used_until, self.head_time_max).await;
        }
        let name = ServerName::try_from(target.tls_name()).map_err(|_| FailureKind::Tls)?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| FailureKind::Tls)?;
        Connection::over(stream, used_until, self.head_time_max).await
    }

    /// Connects to the first address that answers. Each gets its share of the time, so that one that is silent costs no other
    /// its turn.
    async fn dial(&self, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, FailureKind> {
        let mut addresses = addresses.iter().take(ADDRESSES_MAX);
        while let Some(address) = addresses.next() {
            let connecting = self.network.connect(*address);
            let others = u32::try_from(addresses.len()).map_err(|_| FailureKind::Connect)?;
            let share = deadline.saturating_duration_since(Instant::now()) / (others + 1);
            match timeout(share, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Err(_) if others == 0 => return Err(FailureKind::Timeout),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(FailureKind::Connect)
    }
}

fn request(target: &Target, message: &Message) -> Result<Request<Full<Bytes>>, InvalidHeaderValue> {
    let Message { id, timestamp, body, signatures } = message;
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path().clone();
    let headers = request.headers_mut();
    headers.insert(HOST, target.authority().clone());
    headers.insert(USER_AGENT, SENDER);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", HeaderValue::from_str(id)?);
    headers.insert("webhook-timestamp", HeaderValue::from(*timestamp));
    headers.insert("webhook-signature", HeaderValue::from_str(signatures)?);
    Ok(request)
}

/// The connection again, once the body ended as it should and the next request can be sent.
async fn reusable(mut connection: Connection, body: Incoming) -> Option<Connection> {
    let mut body = Limited::new(body, BODY_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        drop(frame.ok()?);
    }
    connection.is_ready().await.then_some(connection)
}

fn tls_config(more_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(load_native_certs().certs);
    for root in more_roots {
        roots.add(root)?;
    }
    if roots.is_empty() {
        tracing::warn!(
            "no certificate authorities are found, so webhooks over https fail: see SSL_CERT_FILE"
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
