//! The bytes of a connection, with or without TLS, for a client that must neither send a head nor take an answer too
//! slowly.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    limits::CLOSE_TIMEOUT,
    peer::{Peer, Stall},
};

/// What bytes go over.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The bytes of a connection. Clones share them. A client that is too slow is an error of reading or writing.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) peer: Rc<Peer>,
    state: Rc<RefCell<State>>,
}

struct State {
    io: Box<dyn Io>,
    /// Whether requests come whole, one after another, and are answered so, as with HTTP/1.1. HTTP/2 mixes their frames.
    in_order: bool,
    stall: Option<Stall>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(super) fn new(io: impl Io + 'static, peer: Rc<Peer>, in_order: bool) -> Self {
        let state = State { io: Box::new(io), in_order, stall: None, timer: None };
        Self { peer, state: Rc::new(RefCell::new(state)) }
    }

    /// Says goodbye (with TLS by `close_notify`), if the client takes it soon.
    pub(super) async fn close(self) {
        let close = poll_fn(|context| Pin::new(&mut self.state.borrow_mut().io).poll_shutdown(context));
        // Whether the client has heard it makes no difference.
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}

impl State {
    /// Turns what waits for the client into an error at the deadline.
    fn wait<T>(&mut self, context: &mut Context<'_>, deadline: Option<Instant>) -> Poll<io::Result<T>> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // To set a timer costs more than one that goes off too early now and then.
        if timer.is_elapsed() || timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Writes something. Until the client takes it, the time runs.
    fn write<T>(
        &mut self,
        context: &mut Context<'_>,
        peer: &Rc<Peer>,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut *self.io), context);
        if written.is_pending() {
            self.stall.get_or_insert_with(|| peer.stall());
            return self.wait(context, peer.take_deadline().map(Instant::from_std));
        }
        self.stall = None;
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        let bytes_max = self.peer.read_max(context, state.in_order);
        if bytes_max == 0 {
            return Poll::Pending;
        }
        let bytes_max = bytes_max.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(bytes_max));
        let read = Pin::new(&mut state.io).poll_read(context, &mut part);
        if read.is_pending() && state.in_order {
            return state.wait(context, self.peer.head_deadline().map(Instant::from_std));
        }
        let bytes = part.filled().len();
        if bytes > 0 {
            buffer.advance(bytes);
            self.peer.received(bytes);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = |io: Pin<&mut dyn Io>, context: &mut Context<'_>| io.poll_write(context, bytes);
        let written = self.state.borrow_mut().write(context, &self.peer, write);
        if let Poll::Ready(Ok(bytes)) = written {
            self.peer.took(bytes);
        }
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |io: Pin<&mut dyn Io>, context: &mut Context<'_>| io.poll_write_vectored(context, parts);
        let written = self.state.borrow_mut().write(context, &self.peer, write);
        if let Poll::Ready(Ok(bytes)) = written {
            self.peer.took(bytes);
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.state.borrow().io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = |io: Pin<&mut dyn Io>, context: &mut Context<'_>| io.poll_flush(context);
        self.state.borrow_mut().write(context, &self.peer, flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.state.borrow_mut().io).poll_shutdown(context)
    }
}
