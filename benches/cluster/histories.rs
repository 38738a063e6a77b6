//! Clients that do random things with few customers at once; each customer's history is checked in the end.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use actix_web::rt::{self, task::JoinHandle, time::sleep};

use crate::{
    calls::choose,
    checker::{Call, Operation, describe, is_linearizable},
    load::{Load, Request},
    options::Options,
    support::Dice,
};

/// How many customers the clients share at a time.
const CUSTOMERS: usize = 4;

/// New customers take the place of those of whom one has so many operations: a longer history takes long to check.
const OPERATIONS_MAX: usize = 64;

/// The same for operations of which nobody knows whether they were carried out.
const UNKNOWN_MAX: usize = 5;

pub(crate) struct Histories {
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
            let invoked = load.tick();
            let gives_up = || request.call == Call::Get || dice.roll(8) == 0;
            let reply = load.ask(&request, replicas, gives_up).await;
            if reply.is_some() || request.call != Call::Get {
                let reply = reply.map(|reply| (reply, load.tick()));
                self.add(&request.customer_id, Operation { call: request.call, invoked, reply });
            }
            sleep(load.pause).await;
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
