//! Clients that do random things with few customers at once; each customer's history is checked in the end.
//!
//! Some requests are sent to two replicas at once, and some are sent again later, when newer ones were acknowledged. All that
//! is told of a request is the same: it is one operation of the history.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::rt::{self, task::JoinHandle, time::sleep};

use futures_util::future::join;

use crate::{
    calls::choose,
    checker::{Call, Operation, Reply, describe, is_linearizable},
    load::{Load, Request, Signed},
    options::Options,
    support::Dice,
};

/// How many customers the clients share at a time.
const CUSTOMERS: usize = 4;

/// New customers take the place of those of whom one has so many operations: a longer history takes long to check.
const OPERATIONS_MAX: usize = 64;

/// The same for operations of which nobody knows whether they were carried out.
const UNKNOWN_MAX: usize = 5;

/// For how long a request is sent again: its signature is valid for longer.
const REPEATED_FOR: Duration = Duration::from_secs(200);

/// A request to send again, and what was told of it.
struct Late {
    request: Request,
    signed: Signed,
    reply: Option<Reply>,
    sent: Instant,
}

pub(crate) struct Histories {
    /// `None` if nothing is sent again.
    late: Option<RefCell<Vec<Late>>>,
    repeats: Cell<usize>,
    customers: RefCell<BTreeMap<String, Vec<Operation>>>,
    generation: Cell<usize>,
    with_history: Vec<usize>,
}

/// Starts the clients.
pub(crate) fn start(load: &Rc<Load>, histories: &Rc<Histories>, options: &Options) -> Vec<JoinHandle<()>> {
    let replicas = options.with_history();
    let writers = options.clients * replicas.len();
    // Those that write wait for a database that does not commit; one more for each replica goes on reading.
    let clients = (0..writers + replicas.len()).map(|client| {
        let (load, histories, mut replicas) = (Rc::clone(load), Rc::clone(histories), replicas.clone());
        let first = client % replicas.len();
        replicas.rotate_left(first);
        let dice = Dice::new((options.seed << 8) + client as u64);
        rt::spawn(async move { histories.work(&load, &replicas, dice, client < writers).await })
    });
    clients.collect()
}

impl Histories {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            late: (!options.no_repeats).then(RefCell::default),
            repeats: Cell::default(),
            customers: RefCell::default(),
            generation: Cell::default(),
            with_history: options.with_history(),
        }
    }

    async fn work(&self, load: &Load, replicas: &[usize], mut dice: Dice, writes: bool) {
        while !load.is_stopped() {
            let mut request = self.choose(load, &mut dice);
            if !writes {
                request.call = Call::Get;
            }
            let (signed, sent, invoked) = (load.sign(&request), Instant::now(), load.tick());
            let is_read = request.call == Call::Get;
            let ask = async |replicas: &[usize], dice: &mut Dice| {
                let gives_up = || is_read || dice.roll(8) == 0;
                let reply = load.ask_signed(&request, &signed, replicas, gives_up).await;
                reply.map(|reply| (reply, load.tick()))
            };
            let goes_twice = self.late.is_some() && !is_read && replicas.len() > 1 && dice.roll(4) == 0;
            let reply = if goes_twice {
                let (mut others, mut other_dice) = (replicas.to_vec(), Dice::new(dice.roll(u64::MAX)));
                others.rotate_left(1);
                let (one, two) = join(ask(replicas, &mut dice), ask(&others, &mut other_dice)).await;
                if let (Some((one, _)), Some((two, _))) = (one, two) {
                    self.compare(load, &request, one, two);
                }
                one.into_iter().chain(two).min_by_key(|&(_, told)| told)
            } else {
                ask(replicas, &mut dice).await
            };
            if reply.is_some() || !is_read {
                self.add(&request.customer_id, Operation { call: request.call, invoked, reply });
            }
            if let Some(late) = self.late.as_ref().filter(|_| !is_read) {
                let reply = reply.map(|(reply, _)| reply);
                late.borrow_mut().push(Late { request, signed, reply, sent });
                self.repeat_one(load, replicas, &mut dice).await;
            }
            sleep(load.pause).await;
        }
    }

    /// Sends a request of before again, now and then.
    async fn repeat_one(&self, load: &Load, replicas: &[usize], dice: &mut Dice) {
        let late = {
            let Some(mut late) = self.late.as_ref().map(RefCell::borrow_mut) else { return };
            late.retain(|late| late.sent.elapsed() < REPEATED_FOR);
            if late.is_empty() || dice.roll(2) == 0 {
                return;
            }
            let index = dice.pick(late.len());
            late.swap_remove(index)
        };
        let Late { request, signed, reply, .. } = &late;
        let again = load.ask_signed(request, signed, replicas, || true).await;
        if let (Some(first), Some(again)) = (*reply, again) {
            self.compare(load, request, first, again);
        }
    }

    fn compare(&self, load: &Load, request: &Request, first: Reply, again: Reply) {
        self.repeats.set(self.repeats.get() + 1);
        if first != again {
            let Request { customer_id, call } = request;
            load.fault(format!("{call:?} of {customer_id} is told {again:?} after {first:?}"));
        }
    }

    fn add(&self, customer_id: &str, operation: Operation) {
        let mut customers = self.customers.borrow_mut();
        let history = customers.entry(customer_id.to_owned()).or_default();
        history.push(operation);
        let unknown = history.iter().filter(|operation| operation.reply.is_none()).count();
        let is_current = customer_id.starts_with(&format!("h-{}-", self.generation.get()));
        if is_current && (history.len() >= OPERATIONS_MAX || unknown >= UNKNOWN_MAX) {
            self.generation.set(self.generation.get() + 1);
        }
    }

    fn choose(&self, load: &Load, dice: &mut Dice) -> Request {
        let customer_id = format!("h-{}-{}", self.generation.get(), dice.pick(CUSTOMERS));
        let content = load.new_content();
        let customers = self.customers.borrow();
        let call = choose(customers.get(&customer_id).map_or(&[][..], Vec::as_slice), content, dice);
        Request { customer_id, call }
    }

    /// Reads each customer from each replica, as the last operations of its history.
    pub(crate) async fn look_up(&self, load: &Load) {
        let customers: Vec<String> = self.customers.borrow().keys().cloned().collect();
        for customer_id in customers {
            for &replica in &self.with_history {
                let request = Request { customer_id: customer_id.clone(), call: Call::Get };
                let invoked = load.tick();
                let reply = load.ask(&request, &[replica], || false).await;
                let reply = reply.map(|reply| (reply, load.tick()));
                self.add(&customer_id, Operation { call: Call::Get, invoked, reply });
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.customers.borrow().len()
    }

    pub(crate) fn operations(&self) -> usize {
        self.customers.borrow().values().map(Vec::len).sum()
    }

    /// How often a request was told a second time what became of it.
    pub(crate) fn repeats(&self) -> usize {
        self.repeats.get()
    }

    pub(crate) fn unknown(&self) -> usize {
        self.customers.borrow().values().flatten().filter(|operation| operation.reply.is_none()).count()
    }

    /// The histories that have no order.
    pub(crate) fn without_order(&self) -> Vec<String> {
        let customers = self.customers.borrow();
        let wrong = customers.iter().filter(|(_, history)| !is_linearizable(history));
        wrong.map(|(customer_id, history)| format!("{customer_id}:\n{}", describe(history))).collect()
    }
}
