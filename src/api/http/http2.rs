//! One connection with HTTP/2.
//!
//! The framework's own HTTP/2 sets no limit on the requests of a connection or on their headers, lets a handler run on
//! after its client reset the stream, and says no GOAWAY at a stop. So the connection is served here, with `h2` itself.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use actix_http::{Payload, Request, Response, error::PayloadError};
use actix_server::GracefulShutdownSignal;
use actix_service::Service;
use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody as _},
    dev::ServiceResponse,
    http::{
        Method, StatusCode,
        header::{CONTENT_LENGTH, DATE, HttpDate, TryIntoHeaderValue as _},
    },
    web::Bytes,
};
use futures_util::{Stream, StreamExt as _, stream::FuturesUnordered};
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Duration, Instant, sleep, timeout},
};

use super::limits::{KEEP_ALIVE, REQUEST_TIMEOUT};
use crate::clock;

/// How many requests of a connection are served at the same time. A client sends more of them later.
const STREAMS_MAX: u32 = 32;

/// How large the headers of a request may be, as HTTP/2 counts them.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// How much of one body may be on its way at the same time.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// How much of all bodies of a connection may be on its way at the same time.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// How much of an answer may wait in the connection.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// How long a client may take to make room for a part of an answer.
const TAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the rest of a body is read and thrown away, after its request was answered.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client may take to confirm that the connection ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The handlers of the service.
pub(super) trait App: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {}

impl<S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>> App for S {}

/// Serves a connection to its end.
pub(super) async fn serve<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    app: &impl App,
    stop: &GracefulShutdownSignal,
) {
    if let Ok(Ok(connection)) = timeout(REQUEST_TIMEOUT, settings().handshake(stream)).await {
        answer_all(connection, app, stop).await;
    }
}

fn settings() -> Builder {
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    settings
}

/// Answers requests until the client goes away, is idle for too long, or the server stops. A request that is not
/// answered then is dropped, as on a connection with HTTP/1.1.
async fn answer_all<T: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<T, Bytes>,
    app: &impl App,
    stop: &GracefulShutdownSignal,
) {
    let mut answers = FuturesUnordered::new();
    let mut is_ending = false;
    let mut patience = pin!(sleep(KEEP_ALIVE));
    let mut stopped = pin!(stop.notified());
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => answers.push(answer(app, request, respond)),
                Some(Err(_)) | None => return,
            },
            Some(()) = answers.next() => {}
            () = &mut stopped, if !is_ending => {
                is_ending = true;
                connection.graceful_shutdown();
            }
            () = &mut patience, if answers.is_empty() => {
                if is_ending {
                    return;
                }
                is_ending = true;
                connection.graceful_shutdown();
            }
        }
        if answers.is_empty() {
            let limit = if is_ending { GOODBYE_TIMEOUT } else { KEEP_ALIVE };
            patience.as_mut().reset(Instant::now() + limit);
        }
    }
}

/// Answers a request. If the client resets the stream, the handler is dropped: nobody waits for its answer.
async fn answer(app: &impl App, request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let is_head = request.method() == Method::HEAD;
    let (request, mut body) = to_request(request);
    let response = tokio::select! {
        biased;
        _reset = poll_fn(|context| respond.poll_reset(context)) => return,
        response = app.call(request) => response,
    };
    let response = response.map_or_else(Into::into, Response::from);
    if send(response, is_head, &mut respond).await.is_ok() {
        // A client that still sends its body may overlook an answer that is followed by a reset at once.
        let _ = timeout(DISCARD_TIMEOUT, async { while let Some(Ok(_)) = body.next().await {} }).await;
    }
}

/// The request, and its body for what the handler leaves of it.
fn to_request(request: http::Request<RecvStream>) -> (Request, Body) {
    let (parts, body) = request.into_parts();
    let is_empty = body.is_end_stream();
    let body = Body(Rc::new(RefCell::new(body)));
    let payload =
        if is_empty { Payload::None } else { Payload::Stream { payload: Box::pin(body.clone()) as _ } };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.uri = parts.uri;
    head.method = parts.method;
    head.version = parts.version;
    head.headers = parts.headers.into();
    (request, body)
}

/// The parts of a body. What was taken makes room for more.
#[derive(Clone)]
struct Body(Rc<RefCell<RecvStream>>);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.borrow_mut();
        let chunk = ready!(body.poll_data(context)).map(|chunk| {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            Ok(chunk)
        });
        let incomplete = |error: h2::Error| PayloadError::Incomplete(Some(io::Error::other(error)));
        Poll::Ready(chunk.map(|chunk| chunk.map_err(incomplete)))
    }
}

async fn send(
    response: Response<BoxBody>,
    is_head: bool,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (response, body) = to_response(response);
    let is_end = is_head || body.size().is_eof();
    let mut stream = respond.send_response(response, is_end)?;
    if is_end {
        return Ok(());
    }
    let mut body = pin!(body);
    while let Some(chunk) = poll_fn(|context| body.as_mut().poll_next(context)).await {
        let Ok(mut chunk) = chunk else {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        while !chunk.is_empty() {
            stream.reserve_capacity(chunk.len());
            let room = timeout(TAKE_TIMEOUT, poll_fn(|context| stream.poll_capacity(context))).await;
            let Ok(Some(room)) = room else {
                stream.send_reset(Reason::CANCEL);
                return Ok(());
            };
            stream.send_data(chunk.split_to(chunk.len().min(room?)), false)?;
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// The head of a response, with the headers that HTTP/1.1 has by the framework.
fn to_response(response: Response<BoxBody>) -> (http::Response<()>, BoxBody) {
    let (mut response, body) = response.into_parts();
    let status = response.status();
    let mut head = http::Response::new(());
    *head.status_mut() = status;
    let headers = head.headers_mut();
    *headers = std::mem::take(response.headers_mut()).into();
    if let (BodySize::Sized(bytes), true) = (body.size(), status != StatusCode::NO_CONTENT) {
        headers.insert(CONTENT_LENGTH, bytes.into());
    }
    if let Ok(date) = HttpDate::from(SystemTime::from(clock::now())).try_into_value() {
        headers.insert(DATE, date);
    }
    (head, body)
}
