//! One request and its answer, on a connection of any version of HTTP.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::{HttpMessage as _, Payload, Request, Response, error::PayloadError};
use actix_service::{Service, always_ready};
use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::ServiceResponse,
    error::ErrorInternalServerError,
    web::Bytes,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::LocalBoxFuture, stream};

use super::{
    limits::PIECE_BYTES_MAX,
    peer::{Exchange, Peer, Receiving, Turn},
};

/// The handlers of the service.
pub(super) trait App: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {}

impl<S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>> App for S {}

/// The handlers, for the connections of HTTP/1.1.
pub(super) struct Exchanges<S>(pub(super) Rc<S>);

impl<S: App + 'static> Service<Request> for Exchanges<S> {
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Response<BoxBody>, Error>>;

    always_ready!();

    fn call(&self, request: Request) -> Self::Future {
        let (app, peer) = (Rc::clone(&self.0), request.conn_data::<Rc<Peer>>().cloned());
        Box::pin(async move {
            let peer =
                peer.ok_or_else(|| ErrorInternalServerError("the connection of a request is not known"))?;
            Ok(respond(&*app, &peer, request).await)
        })
    }
}

/// Responds to a request when the connection has a place for it. While its body is awaited, it is the client's turn. A body
/// is read before its request takes a place, so that no body waits in the connection and keeps out those of others.
pub(super) async fn respond(app: &impl App, peer: &Rc<Peer>, mut request: Request) -> Response<BoxBody> {
    // The end of the connection ends this, too.
    let Some((turn, exchange)) = peer.begin() else { return pending().await };
    let (turn, place) = (Rc::new(RefCell::new(Some(turn))), Rc::new(Cell::new(None)));
    let enter = {
        let (gate, place) = (Rc::clone(&peer.gate), Rc::clone(&place));
        async move { place.set(Some(gate.enter().await)) }
    };
    request.extensions_mut().insert(peer.allowance());
    request.extensions_mut().insert(peer.caller());
    let payload = match request.take_payload() {
        Payload::None => {
            enter.await;
            Payload::None
        }
        payload => {
            let receiving = Some(peer.expect_body());
            let body =
                Body { payload, peer: Rc::clone(peer), turn: Rc::clone(&turn), paused: None, receiving };
            let end = stream::once(enter.map(|()| Ok(Bytes::new())));
            Payload::Stream { payload: Box::pin(body.chain(end)) as _ }
        }
    };
    let request = request.replace_payload(payload).0;
    // In a box, so that a request that waits, or whose answer does, has no room for it.
    let response = Box::pin(app.call(request)).await.map_or_else(Into::into, Response::from);
    drop((turn.take(), place.take()));
    response.map_body(|_, body| {
        BoxBody::new(Answer { size: body.size(), body, piece: Bytes::new(), _exchange: exchange })
    })
}

struct Body {
    payload: Payload,
    peer: Rc<Peer>,
    /// Whose turn it is: `None` while the client has to send.
    turn: Rc<RefCell<Option<Turn>>>,
    /// When the client had to send for the first time.
    paused: Option<u64>,
    /// Until the end came.
    receiving: Option<Receiving>,
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(chunk) = Pin::new(&mut self.payload).poll_next(context) else {
            let turn = self.turn.take();
            if let Some(turn) = turn {
                turn.pause(&mut self.paused);
            }
            return Poll::Pending;
        };
        if !matches!(chunk, Some(Ok(_))) {
            self.receiving = None;
        }
        if self.resume() { Poll::Ready(chunk) } else { Poll::Pending }
    }
}

impl Body {
    /// False if the connection had to give way meanwhile.
    fn resume(&self) -> bool {
        let mut turn = self.turn.borrow_mut();
        if turn.is_none() {
            *turn = Turn::take(&self.peer);
        }
        turn.is_some()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // The handler goes on without the rest.
        self.resume();
    }
}

/// The body of an answer, in pieces, so that the connection copies no more than one of them.
struct Answer {
    size: BodySize,
    body: BoxBody,
    piece: Bytes,
    _exchange: Exchange,
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        while self.piece.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(piece)) => self.piece = piece,
                end => return Poll::Ready(end),
            }
        }
        let bytes = self.piece.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(self.piece.split_to(bytes))))
    }
}
