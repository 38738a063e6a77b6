//! Clients that do random things with few customers at once, and what they are told.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    fmt,
};

use customers_api::{clock, random, signature_id::SignatureId};
use futures_util::future::{join, join_all};

use super::{
    calls::{choose, customer},
    checker::{Call, Content, Operation, Reply, describe, is_linearizable},
    replica::Replica,
};
use crate::support::{Dice, Signer, eventually, token_for};

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

/// A request, which is sent again with the same signature.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) customer_id: String,
    pub(super) call: Call,
    /// For a store.
    pub(super) signature: SignatureId,
    /// For a process.
    pub(super) token: Option<String>,
    /// Its place in the history of the customer.
    index: usize,
}

/// All that the clients of a test share.
#[derive(Default)]
pub(super) struct Histories {
    /// Who signs requests to processes.
    signer: Option<Signer>,
    time: Cell<u64>,
    contents: Cell<Content>,
    rounds: Cell<usize>,
    tags: RefCell<Tags>,
    customers: RefCell<BTreeMap<String, Vec<Operation>>>,
    /// Requests to send again.
    late: RefCell<Vec<Request>>,
    unknown: Cell<usize>,
}

impl Histories {
    pub(super) fn signed_by(signer: Signer) -> Self {
        Self { signer: Some(signer), ..Self::default() }
    }

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
                self.repeat_one(replica, &mut dice).await;
                let customer_id = format!("c-{round}-{}", dice.pick(CUSTOMERS));
                let request = self.choose(&mut dice, &customer_id);
                let is_known = if dice.roll(3) == 0 {
                    let other = &replicas[(client + 1) % replicas.len()];
                    let (one, two) = join(self.send(replica, &request), self.send(other, &request)).await;
                    one || two
                } else {
                    self.send(replica, &request).await
                };
                if request.call != Call::Get && dice.roll(2) == 0 {
                    self.late.borrow_mut().push(request);
                }
                if !is_known {
                    self.unknown.set(self.unknown.get() + 1);
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
        self.late.take();
        for replica in replicas {
            for customer in 0..CUSTOMERS {
                let request = self.request(&format!("c-{round}-{customer}"), Call::Get);
                self.send(replica, &request).await;
            }
        }
        for (customer_id, history) in self.customers.take() {
            assert!(
                is_linearizable(&history),
                "{customer_id} is not linearizable (seed {seed}):\n{}",
                describe(&history)
            );
        }
    }

    /// How many operations nobody knew the outcome of when they were sent first.
    pub(super) fn unknown(&self) -> usize {
        self.unknown.get()
    }

    /// Waits until one more outcome is unknown.
    pub(super) async fn until_more_are_unknown(&self) {
        let known = self.unknown();
        eventually("somebody gives up", async || self.unknown() > known).await;
    }

    fn choose(&self, dice: &mut Dice, customer_id: &str) -> Request {
        let content = self.contents.replace(self.contents.get() + 1);
        let call = {
            let customers = self.customers.borrow();
            choose(customers.get(customer_id).map_or(&[][..], Vec::as_slice), content, dice)
        };
        self.request(customer_id, call)
    }

    /// Signs a request, and notes that it is sent.
    fn request(&self, customer_id: &str, call: Call) -> Request {
        let (method, body) = match call {
            Call::Get => ("GET", String::new()),
            Call::Delete(_) => ("DELETE", String::new()),
            Call::Put(content, _) => ("PUT", customer(content).to_string()),
        };
        let target = format!("/customers/{customer_id}");
        let token = self.signer.as_ref().map(|signer| token_for(signer, method, &target, body.as_bytes()));
        let signature = SignatureId { expires_at: clock::now().timestamp() + 300, hash: random::bytes() };
        let mut customers = self.customers.borrow_mut();
        let history = customers.entry(customer_id.to_owned()).or_default();
        history.push(Operation { call, invoked: self.tick(), reply: None });
        let index = history.len() - 1;
        Request { customer_id: customer_id.to_owned(), call, signature, token, index }
    }

    /// Sends a request for the first time, or again; false if nobody knows whether it was carried out. All that is ever
    /// told of it is the same.
    async fn send(&self, replica: &Replica, request: &Request) -> bool {
        let Some(reply) = replica.send(request, &self.tags).await else { return false };
        let now = self.tick();
        let mut customers = self.customers.borrow_mut();
        let history = customers.get_mut(&request.customer_id).unwrap();
        let told = *history[request.index].reply.get_or_insert((reply, now));
        let is_as_told = request.call == Call::Get || told.0 == reply;
        assert!(is_as_told, "{request:?} is told {reply:?} after {told:?}:\n{}", describe(history));
        true
    }

    /// Sends a request of somebody's again, now and then.
    async fn repeat_one(&self, replica: &Replica, dice: &mut Dice) {
        let request = {
            let mut late = self.late.borrow_mut();
            if late.is_empty() || dice.roll(2) == 0 {
                return;
            }
            let index = dice.pick(late.len());
            late.swap_remove(index)
        };
        self.send(replica, &request).await;
    }

    fn tick(&self) -> u64 {
        self.time.replace(self.time.get() + 1)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} of {}", self.call, self.customer_id)
    }
}
