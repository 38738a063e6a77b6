//! One connection with HTTP/2.
//!
//! The framework's own HTTP/2 sets no limit on the requests of a connection or on their headers, lets a handler run on
//! after its client reset the stream, and says no GOAWAY at a stop. So the connection is served here, with `h2` itself,
//! which closes a connection (ENHANCE_YOUR_CALM) that sends too many frames without content, or too many resets.

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
use actix_web::{
    body::{BodySize, BoxBody, MessageBody as _},
    http::{
        Method, StatusCode, Uri, Version,
        header::{HOST, HeaderName, HeaderValue, HttpDate},
    },
    web::Bytes,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream::FuturesUnordered};
use h2::{
    Reason, RecvStream, SendStream,
    server::{Builder, Connection, SendResponse},
};
use tokio::time::{Duration, Instant, sleep, timeout, timeout_at};

use super::{
    exchange::{App, respond},
    limits::{CLOSE_TIMEOUT, KEEP_ALIVE, REQUEST_TIMEOUT},
    peer::Peer,
    stream::Stream as Bytestream,
};
use crate::{api::budget::Budget, clock};

/// How many requests of a connection may be open at the same time.
pub(super) const STREAMS_MAX: u32 = 128;

/// How large the headers of a request may be, as HTTP/2 counts them.
pub(super) const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// How much of the bodies of a connection may be on its way, or not read yet. One body may use all of it.
pub(super) const WINDOW_BYTES: u32 = 64 * 1024;

/// What frames with little content may cost a connection until they are read, as `h2` counts it: 256 bytes each.
const SMALL_FRAMES_BYTES: usize = 64 * 1024;

/// How much of an answer may wait in the connection.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// What a request costs besides its headers, in bytes.
const REQUEST_BYTES: usize = 8 * 1024;

/// What a header costs besides its text, in bytes: more than HTTP/2 counts, about as much as it occupies.
const HEADER_BYTES: usize = 200;

/// How long the rest of a body is read and thrown away, after its request was answered.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// What the requests of a connection share.
struct Shared<'a, A> {
    app: &'a A,
    peer: &'a Rc<Peer>,
    bodies: &'a Budget,
}

/// The error of a client that does not take its answers.
struct TooSlow;

pub(super) async fn serve(
    stream: Bytestream,
    app: &impl App,
    bodies: &Budget,
    stop: &GracefulShutdownSignal,
) {
    let peer = Rc::clone(&stream.peer);
    let handshake = timeout(REQUEST_TIMEOUT, settings().handshake(stream));
    let handshake = tokio::select! {
        connection = handshake => connection,
        () = peer.given_way() => return,
    };
    if let Ok(Ok(connection)) = handshake {
        answer_all(connection, &Shared { app, peer: &peer, bodies }, stop).await;
    }
}

fn settings() -> Builder {
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .data_frame_budget(SMALL_FRAMES_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    settings
}

/// Answers requests until the client goes away, is idle or slow for too long, or the server stops. A request that is not
/// answered then is dropped, as on a connection with HTTP/1.1.
async fn answer_all(
    mut connection: Connection<Bytestream, Bytes>,
    shared: &Shared<'_, impl App>,
    stop: &GracefulShutdownSignal,
) {
    let mut answers = FuturesUnordered::new();
    let mut is_ending = false;
    let mut patience = pin!(sleep(KEEP_ALIVE));
    let mut stopped = pin!(stop.notified());
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => answers.push(answer(shared, request, respond)),
                Some(Err(_)) | None => return,
            },
            Some(answered) = answers.next() => if let Err(TooSlow) = answered {
                return;
            },
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
            () = shared.peer.given_way() => {
                // No request is served. Those that are on their way are not processed, and the client may repeat them.
                connection.abrupt_shutdown(Reason::NO_ERROR);
                let _ = timeout(CLOSE_TIMEOUT, poll_fn(|context| connection.poll_closed(context))).await;
                return;
            }
        }
        if answers.is_empty() {
            let limit = if is_ending { CLOSE_TIMEOUT } else { KEEP_ALIVE };
            patience.as_mut().reset(Instant::now() + limit);
        }
    }
}

/// Answers a request. If the client resets the stream, the handler is dropped: nobody waits for its answer.
async fn answer(
    shared: &Shared<'_, impl App>,
    request: http::Request<RecvStream>,
    mut reply: SendResponse<Bytes>,
) -> Result<(), TooSlow> {
    // Until the answer is sent.
    let mut share = shared.bodies.share(shared.peer.allowance());
    if share.grow(request_bytes(&request)).is_err() {
        reply.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    }
    let is_head = request.method() == http::Method::HEAD;
    let (parts, body) = request.into_parts();
    let mut body = Body(Rc::new(RefCell::new(body)));
    let payload = if body.0.borrow().is_end_stream() {
        Payload::None
    } else {
        Payload::Stream { payload: Box::pin(body.clone()) as _ }
    };
    let Some(request) = to_request(parts, payload) else {
        reply.send_reset(Reason::PROTOCOL_ERROR);
        return Ok(());
    };
    let response = tokio::select! {
        biased;
        _reset = poll_fn(|context| reply.poll_reset(context)) => return Ok(()),
        response = respond(shared.app, shared.peer, request) => response,
    };
    let sent = timeout(shared.peer.patience.answer, send(response, is_head, &mut reply, shared.peer)).await;
    match sent {
        Ok(Ok(())) => {
            // A client that still sends its body may overlook an answer that is followed by a reset at once.
            let _ = timeout(DISCARD_TIMEOUT, async { while let Some(Ok(_)) = body.next().await {} }).await;
            Ok(())
        }
        Ok(Err(error)) => error.map_or(Ok(()), Err),
        Err(_late) => {
            reply.send_reset(Reason::CANCEL);
            Ok(())
        }
    }
}

/// What a request occupies, without its body.
fn request_bytes(request: &http::Request<RecvStream>) -> usize {
    let texts = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    REQUEST_BYTES + texts.map(|bytes| HEADER_BYTES + bytes).sum::<usize>()
}

/// The request as the app knows it, which is as it would be with HTTP/1.1. The framework has another version of the same
/// types.
fn to_request(parts: http::request::Parts, payload: Payload) -> Option<Request> {
    let http::request::Parts { method, uri, headers, .. } = parts;
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.version = Version::HTTP_2;
    head.method = Method::from_bytes(method.as_str().as_bytes()).ok()?;
    head.uri = match (uri.path_and_query(), uri.authority()) {
        (Some(path_and_query), _) => Uri::try_from(path_and_query.as_str()).ok()?,
        (None, Some(authority)) => Uri::try_from(authority.as_str()).ok()?,
        (None, None) => return None,
    };
    for (name, value) in &headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    if let Some(authority) = uri.authority()
        && !head.headers.contains_key(HOST)
    {
        head.headers.insert(HOST, HeaderValue::from_str(authority.as_str()).ok()?);
    }
    Some(request)
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

/// Sends a response. The error is that of a slow client, or none: the stream has ended then.
async fn send(
    response: Response<BoxBody>,
    is_head: bool,
    reply: &mut SendResponse<Bytes>,
    peer: &Rc<Peer>,
) -> Result<(), Option<TooSlow>> {
    let (response, body) = to_response(response).ok_or(None)?;
    let is_end = is_head || body.size().is_eof();
    let mut stream = reply.send_response(response, is_end).map_err(|_| None)?;
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
            let room = room(&mut stream, peer).await?.min(chunk.len());
            stream.send_data(chunk.split_to(room), false).map_err(|_| None)?;
        }
    }
    stream.send_data(Bytes::new(), true).map_err(|_| None)
}

/// How much the client takes now. It may take none for a while.
async fn room(stream: &mut SendStream<Bytes>, peer: &Rc<Peer>) -> Result<usize, Option<TooSlow>> {
    let mut room = pin!(poll_fn(|context| stream.poll_capacity(context)));
    let mut found = room.as_mut().now_or_never();
    let _stall = found.is_none().then(|| peer.stall());
    loop {
        if let Some(room) = found {
            return room.and_then(Result::ok).ok_or(None);
        }
        let deadline = peer.take_deadline().map_or_else(Instant::now, Instant::from_std);
        found = timeout_at(deadline, room.as_mut()).await.ok();
        // Meanwhile it may have taken other answers.
        let is_late =
            peer.take_deadline().is_some_and(|deadline| Instant::from_std(deadline) <= Instant::now());
        if found.is_none() && is_late {
            return Err(Some(TooSlow));
        }
    }
}

/// The head of a response, with the headers that HTTP/1.1 has by the framework.
fn to_response(response: Response<BoxBody>) -> Option<(http::Response<()>, BoxBody)> {
    let (response, body) = response.into_parts();
    let status = response.status();
    let mut head = http::Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(status.as_u16()).ok()?;
    let headers = head.headers_mut();
    for (name, value) in response.headers() {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        headers.append(name, http::HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let has_length = ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if let (BodySize::Sized(bytes), true) = (body.size(), has_length) {
        headers.insert(http::header::CONTENT_LENGTH, bytes.into());
    }
    if !headers.contains_key(http::header::DATE) {
        let date = HttpDate::from(SystemTime::from(clock::now())).to_string();
        headers.insert(http::header::DATE, date.try_into().ok()?);
    }
    Some((head, body))
}
