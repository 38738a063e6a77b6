//! New customers at a steady rate, whether the database answers or not; each that was acknowledged is there in the end.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use actix_web::rt::{
    self,
    task::JoinHandle,
    time::{interval, sleep},
};

use crate::{
    checker::{Call, Content, Reply, When},
    load::{Load, Request},
    lookup,
    options::Options,
};

/// One customer is created each time, through each replica.
const PERIOD: Duration = Duration::from_millis(100);

/// How many creations of a replica wait for their outcome at most.
const UNDER_WAY_MAX: usize = 150;

#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: RefCell<BTreeMap<String, Content>>,
}

/// Starts the clients.
pub(crate) fn start(load: &Rc<Load>, ledger: &Rc<Ledger>, options: &Options) -> Vec<JoinHandle<()>> {
    let clients = (0..options.replicas.len()).map(|replica| {
        let (load, ledger) = (Rc::clone(load), Rc::clone(ledger));
        rt::spawn(ledger.work(load, replica))
    });
    clients.collect()
}

impl Ledger {
    async fn work(self: Rc<Self>, load: Rc<Load>, replica: usize) {
        let (mut ticks, under_way) = (interval(PERIOD), Rc::new(()));
        while !load.is_stopped() {
            ticks.tick().await;
            if Rc::strong_count(&under_way) <= UNDER_WAY_MAX {
                let (ledger, load, under_way) = (Rc::clone(&self), Rc::clone(&load), Rc::clone(&under_way));
                rt::spawn(async move {
                    ledger.create(&load, replica).await;
                    drop(under_way);
                });
            }
        }
        while Rc::strong_count(&under_way) > 1 {
            sleep(PERIOD).await;
        }
    }

    async fn create(&self, load: &Load, replica: usize) {
        let content = load.new_content();
        let request = Request { customer_id: format!("l-{content}"), call: Call::Put(content, When::Always) };
        match load.ask(&request, &[replica], || false).await {
            Some(Reply::Created) => {
                self.acknowledged.borrow_mut().insert(request.customer_id, content);
            }
            other => load.fault(format!("a new customer is told {other:?}")),
        }
    }

    /// What was acknowledged, and is not there, or is something else.
    pub(crate) async fn lost(&self, load: &Load) -> Vec<String> {
        let mut lost = Vec::new();
        for replica in &load.replicas {
            let found = lookup::all(load, replica).await;
            for (customer_id, content) in &*self.acknowledged.borrow() {
                if found.get(customer_id) != Some(content) {
                    lost.push(format!("{customer_id} by {}: {:?}", replica.name, found.get(customer_id)));
                }
            }
        }
        lost
    }
}
