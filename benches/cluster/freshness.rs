//! Customers that are put again and again, each through one replica, and read from all: how old is what a read finds?

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::rt::{self, task::JoinHandle, time::sleep};

use crate::{
    checker::{Call, Content, Reply, When},
    load::{Load, Request},
    options::Options,
};

const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Freshness {
    registers: Vec<Register>,
    pub(crate) stale_reads: Cell<u64>,
    /// The longest time between the acknowledgement of a content and a read that found an older one.
    pub(crate) stalest: Cell<Duration>,
}

/// A customer, and the replica that it is put through.
struct Register {
    customer_id: String,
    replica: usize,
    /// The contents in their order, and when each was acknowledged.
    acknowledged: RefCell<Vec<(Content, Instant)>>,
}

/// Starts the writers, and a reader for each replica.
pub(crate) fn start(load: &Rc<Load>, freshness: &Rc<Freshness>, options: &Options) -> Vec<JoinHandle<()>> {
    let writers = (0..freshness.registers.len()).map(|register| {
        let (load, freshness) = (Rc::clone(load), Rc::clone(freshness));
        rt::spawn(async move { freshness.registers[register].write(&load).await })
    });
    let readers = (0..options.replicas.len()).map(|replica| {
        let (load, freshness) = (Rc::clone(load), Rc::clone(freshness));
        rt::spawn(async move { freshness.read(&load, replica).await })
    });
    readers.chain(writers).collect()
}

impl Register {
    async fn write(&self, load: &Load) {
        while !load.is_stopped() {
            let content = load.new_content();
            let request =
                Request { customer_id: self.customer_id.clone(), call: Call::Put(content, When::Always) };
            if load.ask(&request, &[self.replica], || false).await.is_some() {
                self.acknowledged.borrow_mut().push((content, Instant::now()));
            }
            sleep(2 * PAUSE).await;
        }
    }

    /// How long something newer was acknowledged before the read of this content was sent.
    fn age(&self, acknowledged: usize, found: Content, sent: Instant) -> Option<Duration> {
        let acknowledged = &self.acknowledged.borrow()[..acknowledged];
        let newer = acknowledged.iter().find(|(content, _)| *content > found);
        newer.map(|(_, time)| sent.duration_since(*time))
    }
}

impl Freshness {
    pub(crate) fn new(options: &Options) -> Self {
        let register = |replica: usize| Register {
            customer_id: format!("f-{}", options.replicas[replica].0),
            replica,
            acknowledged: RefCell::default(),
        };
        Self {
            registers: options.with_history().into_iter().map(register).collect(),
            stale_reads: Cell::default(),
            stalest: Cell::default(),
        }
    }

    async fn read(&self, load: &Load, replica: usize) {
        for register in self.registers.iter().cycle() {
            if load.is_stopped() {
                return;
            }
            let request = Request { customer_id: register.customer_id.clone(), call: Call::Get };
            let (acknowledged, sent) = (register.acknowledged.borrow().len(), Instant::now());
            let age = match load.ask(&request, &[replica], || true).await {
                Some(Reply::Found(content)) => register.age(acknowledged, content, sent),
                Some(Reply::NotFound) => register.age(acknowledged, 0, sent),
                _ => None,
            };
            if let Some(age) = age {
                self.stale_reads.set(self.stale_reads.get() + 1);
                self.stalest.set(self.stalest.get().max(age));
            }
            sleep(PAUSE).await;
        }
    }
}
