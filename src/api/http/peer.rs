//! What a connection waits for: the server, or its client, which has to send or to take something.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use super::{
    connections::Open,
    gate::{Gate, Line},
    limits::{AHEAD_BYTES_MAX, KEEP_ALIVE, Patience, READ_BYTES_MAX, REQUEST_TIMEOUT},
    pace::Pace,
};
use crate::api::{budget::Allowance, caller::Caller};

/// How much later than the framework an idle connection is closed, should the framework not do so.
const KEEP_ALIVE_GRACE: Duration = Duration::from_secs(5);

/// The client of a connection.
pub(super) struct Peer {
    /// Which of its requests are served.
    pub(super) gate: Rc<Gate>,
    pub(super) patience: Patience,
    open: Open,
    allowance: Allowance,
    /// How many requests the server works on.
    served: Cell<usize>,
    /// How many requests have begun, and their answers were not sent yet.
    exchanges: Cell<usize>,
    /// How many bodies the client is sending.
    bodies: Cell<usize>,
    /// How many bytes that belong to no body came since the last exchange began.
    ahead: Cell<usize>,
    /// Reads again when an exchange has ended.
    reader: RefCell<Option<Waker>>,
    /// When the last exchange ended.
    idle_since: Cell<Instant>,
    /// When the first byte of the next head came.
    head_since: Cell<Option<Instant>>,
    pace: RefCell<Pace>,
}

impl Peer {
    pub(super) fn new(open: Open, line: &Rc<Line>, patience: Patience) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            gate: Gate::new(line),
            patience,
            open,
            allowance: Allowance::default(),
            served: Cell::new(0),
            exchanges: Cell::new(0),
            bodies: Cell::new(0),
            ahead: Cell::new(0),
            reader: RefCell::new(None),
            idle_since: Cell::new(now),
            head_since: Cell::new(None),
            pace: RefCell::new(Pace::new(now, patience.taking)),
        })
    }

    /// What the connection may occupy besides what all share.
    pub(super) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Who has the connection.
    pub(super) fn caller(&self) -> Caller {
        self.open.caller()
    }

    /// Waits until the connection has to give way to another.
    pub(super) async fn given_way(&self) {
        self.open.given_way().await;
    }

    /// Begins to serve a request. `None` if the connection had to give way.
    pub(super) fn begin(self: &Rc<Self>) -> Option<(Turn, Exchange)> {
        let turn = Turn::take(self)?;
        self.exchanges.set(self.exchanges.get() + 1);
        self.ahead.set(0);
        self.head_since.set(None);
        Some((turn, Exchange(Rc::clone(self))))
    }

    /// Expects the body of a request, until the result is dropped.
    pub(super) fn expect_body(self: &Rc<Self>) -> Receiving {
        self.bodies.set(self.bodies.get() + 1);
        Receiving(Rc::clone(self))
    }

    /// How many bytes may be read now, if requests are answered `in_order` or not. If none, the task is woken when there may be
    /// more.
    pub(super) fn read_max(&self, context: &Context<'_>, in_order: bool) -> usize {
        let read = self.gate.read();
        let is_answering = self.exchanges.get() > 0;
        let left = if !in_order || self.bodies.get() > 0 {
            READ_BYTES_MAX.saturating_sub(read)
        } else {
            AHEAD_BYTES_MAX.saturating_sub(if is_answering { self.ahead.get() } else { read })
        };
        if left == 0 && read == 0 {
            *self.reader.borrow_mut() = Some(context.waker().clone());
        } else if left == 0 {
            context.waker().wake_by_ref();
        }
        left
    }

    /// Notes that so many bytes came from the client.
    pub(super) fn received(&self, bytes: usize) {
        self.gate.received(bytes);
        if self.exchanges.get() > 0 {
            self.ahead.set(self.ahead.get() + bytes);
        } else if self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
    }

    /// When the head of the next request must be there; `None` while another is served or answered.
    pub(super) fn head_deadline(&self) -> Option<Instant> {
        let idle_until = self.idle_since.get() + KEEP_ALIVE + KEEP_ALIVE_GRACE;
        let deadline = self.head_since.get().map_or(idle_until, |since| since + REQUEST_TIMEOUT);
        (self.exchanges.get() == 0).then_some(deadline)
    }

    /// Waits for the client to take something, until the result is dropped.
    pub(super) fn stall(self: &Rc<Self>) -> Stall {
        self.pace.borrow_mut().stall(Instant::now());
        Stall(Rc::clone(self))
    }

    pub(super) fn took(&self, bytes: usize) {
        self.pace.borrow_mut().took(bytes, Instant::now());
    }

    /// When the client must have taken more; `None` if nothing waits for it.
    pub(super) fn take_deadline(&self) -> Option<Instant> {
        self.pace.borrow().deadline()
    }
}

/// A request that the server works on, until this is dropped.
pub(super) struct Turn {
    peer: Rc<Peer>,
    /// Since when it is the client's turn again; from the drop on if this is `None`.
    ends: Option<u64>,
}

impl Turn {
    /// `None` if the connection had to give way.
    pub(super) fn take(peer: &Rc<Peer>) -> Option<Self> {
        if peer.served.get() == 0 && !peer.open.is_served() {
            return None;
        }
        peer.served.set(peer.served.get() + 1);
        Some(Self { peer: Rc::clone(peer), ends: None })
    }

    /// Gives the turn to the client, who has to send more of a body. A client that sends little by little has had it since
    /// the first time.
    pub(super) fn pause(mut self, first: &mut Option<u64>) {
        self.ends = Some(*first.get_or_insert(self.peer.open.now()));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Self { peer, ends } = self;
        peer.served.set(peer.served.get() - 1);
        if peer.served.get() == 0 {
            peer.open.waits(ends.unwrap_or_else(|| peer.open.now()));
        }
    }
}

/// A request whose answer was not sent yet, until this is dropped.
pub(super) struct Exchange(Rc<Peer>);

impl Drop for Exchange {
    fn drop(&mut self) {
        let Self(peer) = self;
        peer.exchanges.set(peer.exchanges.get() - 1);
        peer.idle_since.set(Instant::now());
        if let Some(reader) = peer.reader.take() {
            reader.wake();
        }
    }
}

/// A body that the client sends, until this is dropped.
pub(super) struct Receiving(Rc<Peer>);

impl Drop for Receiving {
    fn drop(&mut self) {
        let Self(peer) = self;
        peer.bodies.set(peer.bodies.get() - 1);
        peer.ahead.set(0);
    }
}

/// Something that the client does not take, until this is dropped.
pub(super) struct Stall(Rc<Peer>);

impl Drop for Stall {
    fn drop(&mut self) {
        self.0.pace.borrow_mut().resume(Instant::now());
    }
}
