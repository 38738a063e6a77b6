//! Clients that do random things with few customers at once, and what they are told.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
};

use futures_util::future::join_all;

use super::{
    calls::choose,
    checker::{Call, Content, Operation, Reply, describe, is_linearizable},
    replica::Replica,
};
use crate::support::{Dice, eventually};

/// How many clients there are. Each asks one replica, one operation after the other.
const CLIENTS: usize = 8;

/// How many customers the clients of a round share.
const CUSTOMERS: usize = 3;

/// How many replies a client waits for in a round. With more of them a history would take long to check.
const REPLIES: usize = 12;

/// Which entity tag names which content.
#[derive(Default)]
pub(super) struct Tags {
    tags: HashMap<Content, String>,
    contents: HashMap<String, Content>,
}

impl Tags {
    pub(super) fn tag(&self, content: Content) -> &str {
        &self.tags[&content]
    }

    pub(super) fn found(&mut self, tag: &str, content: Content) -> Reply {
        self.learn(tag, content);
        Reply::Found(content)
    }

    pub(super) fn put(&mut self, tag: &str, content: Content, reply: Reply) -> Reply {
        self.learn(tag, content);
        reply
    }

    /// A content is put at most once, so it has one tag, and a tag names one content.
    fn learn(&mut self, tag: &str, content: Content) {
        let known = self.tags.entry(content).or_insert_with(|| tag.to_owned());
        assert_eq!(known, tag, "the content {content} has one entity tag");
        let known = *self.contents.entry(tag.to_owned()).or_insert(content);
        assert_eq!(known, content, "the entity tag {tag} names one content");
    }
}

/// All that the clients of a test share.
#[derive(Default)]
pub(super) struct Histories {
    time: Cell<u64>,
    contents: Cell<Content>,
    rounds: Cell<usize>,
    tags: RefCell<Tags>,
    customers: RefCell<BTreeMap<String, Vec<Operation>>>,
    unknown: Cell<usize>,
}

impl Histories {
    /// Lets all clients work on new customers, and checks their histories. At a random reply in the middle of the round
    /// the fault happens.
    pub(super) async fn round(&self, seed: u64, replicas: &[Replica], fault: impl AsyncFn()) {
        let round = self.rounds.replace(self.rounds.get() + 1);
        let mut dice = Dice::new(seed.wrapping_add(round as u64) << 8);
        let due = CLIENTS + dice.pick(CLIENTS * (REPLIES - 4));
        let replies = Cell::new(0);
        let clients = (0..CLIENTS).map(async |client| {
            let mut dice = Dice::new((seed.wrapping_add(round as u64) << 8) + 1 + client as u64);
            let replica = &replicas[client % replicas.len()];
            let mut told = 0;
            while told < REPLIES {
                let customer_id = format!("c-{round}-{}", dice.pick(CUSTOMERS));
                let call = self.choose(&mut dice, &customer_id);
                if !self.call(replica, &customer_id, call).await {
                    replica.until_ready().await;
                    continue;
                }
                told += 1;
                if replies.replace(replies.get() + 1) == due {
                    fault().await;
                }
            }
        });
        join_all(clients).await;
        for (customer_id, history) in self.customers.take() {
            assert!(
                is_linearizable(&history),
                "{customer_id} is not linearizable (seed {seed}):\n{}",
                describe(&history)
            );
        }
    }

    /// How many operations nobody knows the outcome of.
    pub(super) fn unknown(&self) -> usize {
        self.unknown.get()
    }

    /// Waits until one more outcome is unknown.
    pub(super) async fn until_more_are_unknown(&self) {
        let known = self.unknown();
        eventually("somebody gives up", async || self.unknown() > known).await;
    }

    fn choose(&self, dice: &mut Dice, customer_id: &str) -> Call {
        let content = self.contents.replace(self.contents.get() + 1);
        let customers = self.customers.borrow();
        choose(customers.get(customer_id).map_or(&[][..], Vec::as_slice), content, dice)
    }

    /// Carries out a call; false if nobody knows whether it was carried out.
    async fn call(&self, replica: &Replica, customer_id: &str, call: Call) -> bool {
        let operation = Operation { call, invoked: self.tick(), reply: None };
        let index = {
            let mut customers = self.customers.borrow_mut();
            let history = customers.entry(customer_id.to_owned()).or_default();
            history.push(operation);
            history.len() - 1
        };
        let Some(reply) = replica.send(customer_id, call, &self.tags).await else {
            self.unknown.set(self.unknown.get() + 1);
            return false;
        };
        let reply = Some((reply, self.tick()));
        self.customers.borrow_mut().get_mut(customer_id).unwrap()[index].reply = reply;
        true
    }

    fn tick(&self) -> u64 {
        self.time.replace(self.time.get() + 1)
    }
}
