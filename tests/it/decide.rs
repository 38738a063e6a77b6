//! What a write does, without a database; and that both engines do just this, whatever groups they make of the writes.

mod engines;

use std::collections::HashMap;

use customers_api::{
    account::Account,
    clock,
    model::{CustomerId, EventType, Timestamp},
    random,
    signature_id::SignatureId,
    store::{
        Change, Condition, Current, Decision, DeleteOutcome, Effect, Event, ImportOutcome, ImportedCustomer,
        NewVersion, Outcome, PutOutcome, Record, Store, StoredCustomer, Version, decide,
    },
};
use futures_util::future::{LocalBoxFuture, join_all};
use proptest::{collection::vec, prelude::*};

use crate::support::{Dice, Engine, on_each_engine, proof};

/// How long a used signature is remembered after it expired, in seconds.
const KEPT: i64 = 75;

/// The customers and the used signatures, as a database has them.
#[derive(Default)]
struct Ledger {
    customers: HashMap<usize, Current>,
    used: HashMap<SignatureId, Outcome>,
    /// What those who follow were told, each with its customer.
    events: Vec<(usize, Event)>,
    /// In seconds.
    now: i64,
    writes: i64,
}

impl Ledger {
    /// Decides a write, and applies the decision.
    fn write(&mut self, customer: usize, change: &Change) -> Decision {
        self.writes += 1;
        let timestamp = self.now * 1_000_000 + self.writes;
        let used = change.signature().and_then(|signature| self.used.get(&signature).copied());
        let last = self.events.iter().rev().find(|(of, _)| *of == customer);
        let last = last.and_then(|(_, event)| event.version());
        let decision = decide(change, timestamp, self.customers.get(&customer), used, self.now - KEPT, last);
        match decision.effect {
            Effect::Nothing => {}
            Effect::Write(current) => drop(self.customers.insert(customer, current)),
            Effect::Delete => drop(self.customers.remove(&customer)),
        }
        self.used.extend(decision.used.iter().copied());
        self.events.extend(decision.event.clone().map(|event| (customer, event)));
        decision
    }

    /// Forgets what no replica accepts any more.
    fn prune(&mut self) {
        self.used.retain(|signature, _| signature.expires_at >= self.now - KEPT);
    }
}

fn record() -> Record {
    Record { bytes: b"{}".to_vec(), sealed_by: None }
}

/// What somebody does with a customer. A number below picks a version or a request of before.
#[derive(Debug, Clone)]
enum Step {
    Put(Asks, Option<u16>),
    Delete(Option<usize>, Option<u16>),
    Import(usize, bool),
    Reseal(usize),
    Repeat(usize),
    Wait(i64),
    Prune,
}

#[derive(Debug, Clone)]
enum Asks {
    Always,
    Absent,
    Present,
    OneOf(Vec<usize>),
    Never,
}

fn asks() -> impl Strategy<Value = Asks> {
    prop_oneof![
        3 => Just(Asks::Always),
        1 => Just(Asks::Absent),
        1 => Just(Asks::Present),
        2 => vec(0..8_usize, 0..3).prop_map(Asks::OneOf),
        1 => Just(Asks::Never),
    ]
}

/// For how many seconds a signature is valid; `None` is an unsigned request.
fn lifetime() -> impl Strategy<Value = Option<u16>> {
    prop_oneof![4 => (1..900_u16).prop_map(Some), 1 => Just(None)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (asks(), lifetime()).prop_map(|(asks, lifetime)| Step::Put(asks, lifetime)),
        3 => (proptest::option::of(0..8_usize), lifetime()).prop_map(|(held, lifetime)| Step::Delete(held, lifetime)),
        1 => (0..8_usize, any::<bool>()).prop_map(|(version, replace)| Step::Import(version, replace)),
        1 => (0..8_usize).prop_map(Step::Reseal),
        6 => (0..16_usize).prop_map(Step::Repeat),
        1 => (1..600_i64).prop_map(Step::Wait),
        1 => Just(Step::Prune),
    ]
}

/// A history, and the requests in it that can be sent again, each with its first outcome.
#[derive(Default)]
struct History {
    ledger: Ledger,
    versions: Vec<Version>,
    sent: Vec<(usize, Change, Outcome)>,
}

impl History {
    fn signature(&self, lifetime: Option<u16>) -> Option<SignatureId> {
        lifetime.map(|seconds| SignatureId {
            expires_at: self.ledger.now + i64::from(seconds),
            hash: random::bytes(),
        })
    }

    /// One of the latest versions, or one that no customer has ever had.
    fn version(&self, back: usize) -> Version {
        self.versions.iter().rev().nth(back).copied().unwrap_or_default()
    }

    fn condition(&self, asks: &Asks) -> Condition {
        match asks {
            Asks::Always => Condition::Always,
            Asks::Absent => Condition::Absent,
            Asks::Present => Condition::Present,
            Asks::OneOf(back) => Condition::OneOf(back.iter().map(|&back| self.version(back)).collect()),
            Asks::Never => Condition::Never,
        }
    }

    fn take(&mut self, customer: usize, step: &Step) {
        let change = match step {
            Step::Put(asks, lifetime) => {
                let new = NewVersion::of(self.signature(*lifetime).map(proof));
                Change::Put { record: record(), new, condition: self.condition(asks) }
            }
            Step::Delete(held, lifetime) => Change::Delete {
                new: NewVersion::of(self.signature(*lifetime).map(proof)),
                if_match: held.map(|back| vec![self.version(back)]),
            },
            Step::Import(back, replace) => Change::Import {
                record: record(),
                version: self.version(*back),
                created: self.ledger.now - 5,
                updated: self.ledger.now - 5,
                replace: *replace,
            },
            Step::Reseal(back) => Change::Reseal { record: record(), version: self.version(*back) },
            Step::Repeat(back) => return self.repeat(*back),
            Step::Wait(seconds) => {
                self.ledger.now += seconds;
                return;
            }
            Step::Prune => return self.ledger.prune(),
        };
        let before = self.ledger.customers.get(&customer).copied();
        let last = self.last_version(customer);
        let decision = self.ledger.write(customer, &change);
        holds(&change, before, &decision);
        tells(&change, before, last, &decision);
        self.versions.extend(self.ledger.customers.get(&customer).and_then(|current| current.version));
        if change.signature().is_some() {
            self.sent.push((customer, change, decision.outcome));
        }
    }

    /// The version in the last event of a customer.
    fn last_version(&self, customer: usize) -> Option<Version> {
        let last = self.ledger.events.iter().rev().find(|(of, _)| *of == customer);
        last.and_then(|(_, event)| event.version())
    }

    /// The events of each customer form a chain, whose last version is that of the customer.
    fn check_chains(&self) {
        for customer in 0..3 {
            let mut version = None;
            for (_, event) in self.ledger.events.iter().filter(|(of, _)| *of == customer) {
                assert_eq!(event.previous, version, "{event:?}");
                let expected = match (version, event.version()) {
                    (None, Some(_)) => EventType::CustomerCreated,
                    (Some(_), Some(_)) => EventType::CustomerUpdated,
                    (_, None) => EventType::CustomerDeleted,
                };
                assert_eq!(event.event_type, expected);
                version = event.version();
            }
            let current = self.ledger.customers.get(&customer).and_then(|current| current.version);
            assert_eq!(version, current, "the customer is in the version of its last event");
        }
    }

    /// A request of before does nothing again, as long as a replica may accept it.
    fn repeat(&mut self, back: usize) {
        let Some((customer, change, first)) = self.sent.iter().rev().nth(back).cloned() else { return };
        if change.signature().is_none_or(|signature| signature.expires_at < self.ledger.now - KEPT) {
            return;
        }
        let again = self.ledger.write(customer, &change);
        let told_again = Decision {
            outcome: first,
            is_repeated: true,
            effect: Effect::Nothing,
            used: Vec::new(),
            event: None,
        };
        assert_eq!(again, told_again, "{change:?}");
    }
}

/// There is exactly one event for each change, and none without.
fn tells(change: &Change, before: Option<Current>, last: Option<Version>, decision: &Decision) {
    let previous = before.and_then(|before| before.version);
    let Some(event) = &decision.event else {
        let is_same = match decision.effect {
            Effect::Nothing => true,
            Effect::Write(after) => after.version == previous || last == after.version,
            Effect::Delete => false,
        };
        assert!(is_same, "{change:?} changes the customer, and tells nobody");
        return;
    };
    let after = match decision.effect {
        Effect::Write(after) => after.version,
        Effect::Delete => None,
        Effect::Nothing => panic!("{change:?} tells of a change that there is not"),
    };
    assert_ne!(after, previous, "{change:?}");
    assert_eq!((event.version(), event.previous), (after, previous.or(event.previous)), "{change:?}");
    let key_id = change.signature().map(|_| "a-key");
    assert_eq!(event.key_id.as_deref(), key_id, "who");
    if let Some(signature) = change.signature() {
        assert_eq!(event.id.as_bytes(), signature.hash, "a caller knows its own writes");
    }
}

/// The preconditions of RFC 9110, 13.1.
fn is_met(condition: &Condition, before: Option<Current>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => before.is_none(),
        Condition::Present => before.is_some(),
        Condition::OneOf(versions) => {
            before.is_some_and(|before| versions.iter().any(|version| before.version == Some(*version)))
        }
        Condition::Never => false,
    }
}

/// What is true of each decision on a new request.
fn holds(change: &Change, before: Option<Current>, decision: &Decision) {
    let Decision { outcome, is_repeated, effect, .. } = *decision;
    match (change, effect) {
        (Change::Put { new, condition, .. }, Effect::Write(after)) => {
            assert!(is_met(condition, before));
            assert_eq!(after.version, Some(new.version()));
            assert_eq!(after.signature_expires_at, change.signature().map(|signature| signature.expires_at));
            match before {
                Some(before) => {
                    assert_eq!((outcome, after.created), (Outcome::Updated(new.version()), before.created));
                    assert!(after.updated > before.updated);
                }
                None => {
                    assert_eq!((outcome, after.created), (Outcome::Created(new.version()), after.updated));
                }
            }
        }
        (Change::Put { condition, .. }, _) => {
            assert!(!is_met(condition, before));
            assert_eq!((outcome, effect), (Outcome::ConditionFailed, Effect::Nothing));
        }
        (Change::Delete { if_match, .. }, _) => {
            let condition = if_match.clone().map_or(Condition::Present, Condition::OneOf);
            let expected = match (before, is_met(&condition, before)) {
                (None, _) => (Outcome::NotFound, Effect::Nothing),
                (Some(_), false) => (Outcome::ConditionFailed, Effect::Nothing),
                (Some(_), true) => (Outcome::Deleted, Effect::Delete),
            };
            assert_eq!((outcome, effect), expected);
        }
        (Change::Import { version, created, updated, replace, .. }, _) => {
            let is_there = before.is_some_and(|before| before.version == Some(*version));
            assert_eq!(is_repeated, is_there);
            assert_eq!(effect == Effect::Nothing, is_there || (before.is_some() && !replace));
            if let Effect::Write(after) = effect {
                let expected = (Some(*version), *created, *updated, None);
                assert_eq!(
                    (after.version, after.created, after.updated, after.signature_expires_at),
                    expected
                );
            }
        }
        (Change::Reseal { version, .. }, Effect::Write(after)) => {
            assert_eq!((after.version, Some(after)), (Some(*version), before), "only the form changes");
        }
        (Change::Reseal { version, .. }, _) => {
            assert!(before.is_none_or(|before| before.version != Some(*version)));
            assert_eq!((outcome, effect), (Outcome::ConditionFailed, Effect::Nothing));
        }
    }
}

proptest! {
    #[test]
    fn a_write_does_what_it_asks_for_once(steps in vec((0..3_usize, step()), 1..60)) {
        let mut history = History { ledger: Ledger { now: 1_000_000, ..Ledger::default() }, ..History::default() };
        for (customer, step) in &steps {
            history.take(*customer, step);
        }
        history.check_chains();
        let told = history.ledger.events.len();
        for back in 0..history.sent.len() {
            history.repeat(back);
        }
        prop_assert_eq!(history.ledger.events.len(), told, "a repeat has no event");
    }
}

#[test]
fn a_put_is_later_than_what_it_replaces_also_if_the_clock_was_set_back() {
    let put = |timestamp, current: Option<&Current>| {
        let change =
            Change::Put { record: record(), new: NewVersion::of(None), condition: Condition::Always };
        match decide(&change, timestamp, current, None, 0, None).effect {
            Effect::Write(current) => current,
            effect => panic!("{effect:?}"),
        }
    };
    let before = put(2_000_000, None);
    let after = put(1_000_000, Some(&before));
    assert_eq!((after.created, after.updated), (2_000_000, 2_000_001));
}
