//! One customer that is put again and again, and read from each replica: how old is what a read finds?

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

const CUSTOMER: &str = "f-1";

const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(crate) struct Freshness {
    /// The contents in their order, and when each was acknowledged.
    acknowledged: RefCell<Vec<(Content, Instant)>>,
    pub(crate) stale_reads: Cell<u64>,
    /// The longest time between the acknowledgement of a content and a read that found an older one.
    pub(crate) stalest: Cell<Duration>,
}

/// Starts one writer, and a reader for each replica.
pub(crate) fn start(load: &Rc<Load>, freshness: &Rc<Freshness>, options: &Options) -> Vec<JoinHandle<()>> {
    let writer = {
        let (load, freshness, replicas) = (Rc::clone(load), Rc::clone(freshness), options.with_history());
        rt::spawn(async move { freshness.write(&load, &replicas).await })
    };
    let readers = (0..options.replicas.len()).map(|replica| {
        let (load, freshness) = (Rc::clone(load), Rc::clone(freshness));
        rt::spawn(async move { freshness.read(&load, replica).await })
    });
    readers.chain([writer]).collect()
}

impl Freshness {
    async fn write(&self, load: &Load, replicas: &[usize]) {
        while !load.is_stopped() {
            let content = load.new_content();
            let request =
                Request { customer_id: CUSTOMER.to_owned(), call: Call::Put(content, When::Always) };
            if load.ask(&request, replicas, || false).await.is_some() {
                self.acknowledged.borrow_mut().push((content, Instant::now()));
            }
            sleep(PAUSE).await;
        }
    }

    async fn read(&self, load: &Load, replica: usize) {
        let request = Request { customer_id: CUSTOMER.to_owned(), call: Call::Get };
        while !load.is_stopped() {
            let sent = Instant::now();
            let acknowledged = self.acknowledged.borrow().len();
            let found = match load.ask(&request, &[replica], || true).await {
                Some(Reply::Found(content)) => Some(content),
                Some(Reply::NotFound) => Some(0),
                _ => None,
            };
            if let Some(found) = found {
                let newer = self.acknowledged.borrow()[..acknowledged]
                    .iter()
                    .find(|(content, _)| *content > found)
                    .map(|(_, time)| sent.duration_since(*time));
                if let Some(age) = newer {
                    self.stale_reads.set(self.stale_reads.get() + 1);
                    self.stalest.set(self.stalest.get().max(age));
                }
            }
            sleep(PAUSE).await;
        }
    }
}
