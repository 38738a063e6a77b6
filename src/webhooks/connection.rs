//! One connection to a receiver, and those that are kept for the next request.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::failure::FailureKind;

/// How large the head of an answer may be. No more than this is read at once.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How many connections are kept, over all receivers.
const KEPT_MAX: usize = 256;

/// A connection. It is closed when it is dropped, whatever the receiver does.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    used_until: Instant,
}

impl Connection {
    /// Speaks HTTP/1.1 over a stream. No request begins after `used_until`, and each takes at most `request_time_max`.
    pub(super) async fn over<S>(
        stream: S,
        used_until: Instant,
        request_time_max: Duration,
    ) -> Result<Self, FailureKind>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| kind(&error))?;
        let driver =
            tokio::spawn(async move { drop(timeout_at(used_until + request_time_max, connection).await) });
        Ok(Self { sender, driver: driver.abort_handle(), used_until })
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, FailureKind> {
        self.sender.send_request(request).await.map_err(|error| kind(&error))
    }

    /// Waits until the next request can be sent; false if there can be none.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    fn is_usable(&self, now: Instant) -> bool {
        self.sender.is_ready() && now < self.used_until
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no answer.
fn kind(error: &hyper::Error) -> FailureKind {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause {
        Some(cause) if is_tls(cause) => FailureKind::Tls,
        Some(_) => FailureKind::Closed,
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            FailureKind::Closed
        }
        None => FailureKind::Protocol,
    }
}

/// A receiver may refuse the handshake of TLS 1.3 after the client has finished it.
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// Connections that wait for the next request to the same origin, the oldest first.
#[derive(Default)]
pub(super) struct Kept(Mutex<VecDeque<(String, Connection)>>);

impl Kept {
    /// The connection that was used last.
    pub(super) fn take(&self, origin: &str) -> Option<Connection> {
        let mut kept = self.usable();
        let last = kept.iter().rposition(|(of, _)| of == origin)?;
        kept.remove(last).map(|(_, connection)| connection)
    }

    /// Keeps a connection, in the place of the oldest one if there are too many.
    pub(super) fn keep(&self, origin: String, connection: Connection) {
        let mut kept = self.usable();
        kept.push_back((origin, connection));
        if kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }

    /// Those that can be used now; the others are dropped.
    fn usable(&self) -> MutexGuard<'_, VecDeque<(String, Connection)>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|(_, connection)| connection.is_usable(now));
        kept
    }
}
