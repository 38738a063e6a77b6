use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::{
    model::EventType,
    store::{Event, Version},
};

const SECOND: i64 = 1_000_000;

fn customer(number: u8) -> CustomerId {
    format!("c-{number}").try_into().unwrap()
}

fn event(position: i64, number: u8, event_type: EventType) -> StoredEvent {
    let event =
        Event { id: Version::new(), event_type, occurred: 1_000 + position, previous: None, key_id: None };
    StoredEvent { position, customer_id: customer(number), event }
}

fn started() -> Progress {
    Progress::starting_at(Cursor::START)
}

fn fresh(types: EventTypes) -> Schedule {
    Schedule::new(types, Steps::default(), started(), Vec::new())
}

fn failure(meaning: Meaning, retry_after: Option<u64>) -> Failed {
    Failed { kind: "500".to_owned(), retry_after: retry_after.map(Duration::from_secs), meaning }
}

fn created(events: impl IntoIterator<Item = (i64, u8)>) -> Vec<StoredEvent> {
    let created = |(position, number)| event(position, number, EventType::CustomerCreated);
    events.into_iter().map(created).collect()
}

fn sent(next: Option<Next>) -> Option<i64> {
    next.map(|next| match next {
        Next::Event(event) => event.position,
        Next::Held(_, position) => position,
    })
}

#[test]
fn the_events_of_a_customer_are_sent_one_after_the_other_and_those_of_others_meanwhile() {
    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created([(1, 1), (2, 1), (3, 2)]));
    assert_eq!((sent(schedule.next(0)), sent(schedule.next(0))), (Some(1), Some(3)));
    assert_eq!(schedule.next(0), None, "the second event of the first customer waits");
    schedule.succeeded(&customer(2), 0);
    assert_eq!(schedule.take_changes().unwrap().progress.cursor.position, 0, "the first one has no answer");
    schedule.succeeded(&customer(1), 0);
    assert_eq!(sent(schedule.next(0)), Some(2));
    schedule.succeeded(&customer(1), 0);
    assert_eq!(schedule.take_changes().unwrap().progress.cursor.position, 3);
}

#[test]
fn a_failure_holds_back_its_customer_alone() {
    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created([(1, 1), (2, 1), (3, 2)]));
    schedule.next(0);
    schedule.failed(&customer(1), failure(Meaning::Customer, None), 0);
    assert_eq!(sent(schedule.next(0)), Some(3));
    schedule.succeeded(&customer(2), 0);
    let changes = schedule.take_changes().unwrap();
    assert_eq!((changes.progress.cursor.position, changes.held[0].position), (3, 1));
    assert_eq!(schedule.next(3 * SECOND), None, "its time has not come");
    assert_eq!(schedule.next(6 * SECOND), Some(Next::Held(customer(1), 1)));
}

#[test]
fn at_most_32_requests_are_under_way_and_16_of_them_for_customers_that_are_held_back() {
    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created((1..=100).map(|number| (number.into(), number))));
    let begun = std::iter::from_fn(|| schedule.next(0)).count();
    assert_eq!(begun, SENDING_MAX);
    // Fewer failures in a row than begin the probes.
    for number in 1..=32 {
        schedule.failed(&customer(number), failure(Meaning::Customer, None), 0);
        if number % 8 == 0 {
            sent(schedule.next(0)).unwrap();
            schedule.succeeded(&customer(32 + number / 8), 0);
        }
    }
    let begun: Vec<_> = std::iter::from_fn(|| schedule.next(60 * SECOND)).collect();
    let held = begun.iter().filter(|next| matches!(next, Next::Held(..))).count();
    assert_eq!((begun.len(), held), (SENDING_MAX, HELD_SENDING_MAX));
}

#[test]
fn what_speaks_of_the_endpoint_holds_up_all_of_it() {
    for (retry_after, until) in [(None, 6), (Some(1), 6), (Some(120), 120)] {
        let mut schedule = fresh(EventTypes::ALL);
        schedule.read(created([(1, 1), (2, 2)]));
        schedule.next(0);
        schedule.failed(&customer(1), failure(Meaning::Endpoint, retry_after), 0);
        assert_eq!(schedule.next(3 * SECOND), None, "{retry_after:?}");
        assert!(schedule.next_due().unwrap() <= until * SECOND, "{retry_after:?}");
        assert!(schedule.next(until * SECOND).is_some(), "{retry_after:?}");
    }
}

#[test]
fn what_was_looked_up_meanwhile_is_not_sent_to_an_endpoint_that_asks_to_wait_or_is_gone() {
    for meaning in [Meaning::Endpoint, Meaning::Gone] {
        let mut schedule = fresh(EventTypes::ALL);
        let events = created([(1, 1), (2, 2)]);
        schedule.read(events.clone());
        schedule.next(0);
        schedule.failed(&customer(1), failure(Meaning::Customer, None), 0);
        schedule.next(6 * SECOND);
        schedule.next(6 * SECOND);
        schedule.failed(&customer(2), failure(meaning, None), 6 * SECOND);
        assert!(!schedule.found(&events[0], 6 * SECOND), "{meaning:?}");
        let changes = schedule.take_changes().unwrap();
        assert!(changes.held.iter().any(|held| held.position == 1), "{meaning:?}: it waits");
        assert_eq!(schedule.next(18 * SECOND).is_some(), meaning == Meaning::Endpoint);
    }
}

#[test]
fn nobody_waits_for_a_time_that_was_noted_before_the_clock_was_set_back() {
    const YEAR: i64 = 365 * 24 * 60 * 60 * SECOND;
    let held =
        |number, due| HeldCustomer { customer_id: customer(number), position: 1, occurred: 1, tries: 1, due };
    let progress = Progress { held_until: YEAR, ..started() };
    let held = vec![held(1, 5 * SECOND), held(2, YEAR)];
    let mut schedule = Schedule::new(EventTypes::ALL, Steps::default(), progress, held);
    assert_eq!(schedule.next(0), Some(Next::Held(customer(2), 1)));
    assert_eq!(schedule.next(0), None, "this time will come");
    assert_eq!(schedule.next(5 * SECOND), Some(Next::Held(customer(1), 1)));
}

#[test]
fn after_ten_failures_in_a_row_one_request_is_made_at_a_time_until_one_succeeds() {
    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created((1..=20).map(|number| (number.into(), number))));
    for number in 1..=10 {
        schedule.next(0);
        schedule.failed(&customer(number), failure(Meaning::Customer, None), number.into());
    }
    assert_eq!(schedule.next(SECOND), None, "new events wait");
    let probe = schedule.next(60 * SECOND);
    assert!(matches!(probe, Some(Next::Held(..))));
    assert_eq!(schedule.next(60 * SECOND), None, "one at a time");
    let Some(Next::Held(probed, _)) = probe else { panic!("{probe:?}") };
    schedule.succeeded(&probed, 60 * SECOND);
    assert!(std::iter::from_fn(|| schedule.next(60 * SECOND)).count() > 1);
}

#[test]
fn an_endpoint_pauses_after_five_days_without_success_and_after_a_410() {
    let day = 24 * 60 * 60 * SECOND;
    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created([(1, 1)]));
    for (time, state) in [(0, None), (5 * day - 1, None), (5 * day, Some(WebhookState::PausedByFailures))] {
        schedule.next(time.max(2 * day)).unwrap();
        schedule.failed(&customer(1), failure(Meaning::Customer, None), time);
        assert_eq!(schedule.ended(), state, "{time}");
        schedule.hold(customer(1), Held { position: 1, occurred: 0, tries: 1, due: 0 });
    }
    assert_eq!(schedule.next(9 * day), None);
    assert_eq!(schedule.take_changes().unwrap().state, Some(WebhookState::PausedByFailures));

    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created([(1, 1), (2, 2)]));
    schedule.next(0);
    schedule.failed(&customer(1), failure(Meaning::Gone, None), 0);
    let changes = schedule.take_changes().unwrap();
    assert_eq!((changes.state, changes.held.len()), (Some(WebhookState::PausedByReceiver), 1));
    assert_eq!((schedule.next(day), changes.progress.cursor.position), (None, 1), "nothing is lost");
}

#[test]
fn a_request_that_hangs_does_not_hold_up_what_is_read_ahead() {
    let mut schedule = fresh(EventTypes::ALL);
    let mut position = 0;
    while schedule.wants_more() {
        schedule.read(created((0..i64::from(PAGE_EVENTS)).map(|_| {
            position += 1;
            (position, if position == 1 { 1 } else { 2 })
        })));
        while let Some(Next::Event(event)) = schedule.next(0) {
            if event.position > 1 {
                schedule.succeeded(&event.customer_id, 0);
            }
        }
    }
    schedule.give_way(PATIENCE_MICROS - 1);
    assert!(!schedule.wants_more(), "it may still have an answer soon");
    schedule.give_way(PATIENCE_MICROS);
    assert!(schedule.wants_more());
    let changes = schedule.take_changes().unwrap();
    assert_eq!((changes.progress.cursor.position, changes.held[0].position), (position, 1));
    schedule.succeeded(&customer(1), 2 * SECOND);
    assert_eq!(schedule.next(2 * SECOND), Some(Next::Held(customer(1), 2)), "then it is looked for more");
    schedule.found_nothing(&customer(1), position, 2 * SECOND);
    assert_eq!(schedule.take_changes().unwrap().freed, vec![customer(1)]);
}

#[test]
fn what_is_being_written_down_is_written_once_more_until_it_is_known_to_be() {
    let mut schedule = fresh(EventTypes::ALL);
    schedule.read(created([(1, 1), (2, 2)]));
    while schedule.next(0).is_some() {}
    schedule.failed(&customer(1), failure(Meaning::Customer, None), 0);
    assert_eq!(schedule.take_changes().unwrap().held.len(), 1);
    schedule.succeeded(&customer(2), 0);
    let changes = schedule.take_changes().unwrap();
    assert_eq!((changes.progress.cursor.position, changes.held.len()), (2, 1), "no answer to the first");
    schedule.noted();
    assert_eq!(schedule.take_changes(), None);
}

/// Something that happens to an endpoint, its receiver, or the process.
#[derive(Debug, Clone)]
enum Step {
    Change(u8, EventType),
    Read,
    Begin,
    /// What is under way gets an answer: success, or a failure.
    Answer(Index, Option<Meaning>),
    Wait(i64),
    /// It is begun to write down how far it is; what is being written down already is given up.
    Save,
    /// That comes to an end: whether it happened, and whether that is known.
    Saved(bool, bool),
    /// The process is killed, and begins again with what was saved.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let event_type = prop_oneof![
        3 => Just(EventType::CustomerUpdated),
        1 => Just(EventType::CustomerCreated),
        1 => Just(EventType::CustomerDeleted)
    ];
    prop_oneof![
        6 => (0..4_u8, event_type).prop_map(|(number, event_type)| Step::Change(number, event_type)),
        4 => Just(Step::Read),
        8 => Just(Step::Begin),
        8 => any::<Index>().prop_map(|index| Step::Answer(index, None)),
        3 => any::<Index>().prop_map(|index| Step::Answer(index, Some(Meaning::Customer))),
        1 => any::<Index>().prop_map(|index| Step::Answer(index, Some(Meaning::Endpoint))),
        3 => (1..40_i64).prop_map(|seconds| Step::Wait(seconds * SECOND)),
        3 => Just(Step::Save),
        3 => (any::<bool>(), any::<bool>())
            .prop_map(|(happened, is_known)| Step::Saved(happened, happened && is_known)),
        1 => Just(Step::Crash),
    ]
}

/// Something under way.
#[derive(Debug)]
enum UnderWay {
    Request(StoredEvent),
    LookUp(CustomerId, Option<StoredEvent>, i64),
}

/// An endpoint with its database and its receiver.
struct World {
    types: EventTypes,
    feed: Vec<StoredEvent>,
    schedule: Schedule,
    saved: (Progress, BTreeMap<CustomerId, HeldCustomer>),
    saving: Option<WebhookChanges>,
    under_way: Vec<UnderWay>,
    acknowledged: BTreeSet<i64>,
    now: i64,
}

impl World {
    fn new(types: EventTypes) -> Self {
        Self {
            types,
            feed: Vec::new(),
            schedule: fresh(types),
            saved: (started(), BTreeMap::new()),
            saving: None,
            under_way: Vec::new(),
            acknowledged: BTreeSet::new(),
            now: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Change(number, event_type) => {
                let position = i64::try_from(self.feed.len()).unwrap() + 1;
                self.feed.push(event(position, number, event_type));
            }
            Step::Read => {
                let from = usize::try_from(self.schedule.read_to().position).unwrap();
                self.schedule.read(self.feed[from..].iter().take(3).cloned().collect());
            }
            Step::Begin => self.begin(),
            Step::Answer(ref index, failure) if !self.under_way.is_empty() => {
                let under_way = self.under_way.remove(index.index(self.under_way.len()));
                self.answer(under_way, failure);
            }
            Step::Answer(..) => {}
            Step::Wait(time) => self.now += time,
            Step::Save => self.saving = self.schedule.take_changes(),
            Step::Saved(happened, is_known) => self.end_save(happened, is_known),
            Step::Crash => {
                self.under_way.clear();
                self.saving = None;
                let (progress, held) = self.saved.clone();
                let held = held.into_values().collect();
                self.schedule = Schedule::new(self.types, Steps::default(), progress, held);
            }
        }
        let mut customers: Vec<_> = self.under_way.iter().map(UnderWay::customer).collect();
        customers.sort();
        customers.dedup();
        assert_eq!(customers.len(), self.under_way.len(), "one request at a time for a customer");
    }

    fn begin(&mut self) {
        let Some(next) = self.schedule.next(self.now) else { return };
        match next {
            Next::Event(event) => self.send(event),
            Next::Held(customer_id, from) => {
                let is_meant = |event: &&StoredEvent| {
                    event.customer_id == customer_id
                        && event.position >= from
                        && self.types.contains(event.event.event_type)
                };
                let found = self.feed.iter().find(is_meant).cloned();
                let read_to = self.schedule.read_to().position;
                self.under_way.push(UnderWay::LookUp(customer_id, found, read_to));
            }
        }
    }

    /// The promise: an event is sent only after the earlier ones of its customer were acknowledged.
    fn send(&mut self, event: StoredEvent) {
        let earlier = self.feed.iter().filter(|earlier| {
            earlier.customer_id == event.customer_id
                && earlier.position < event.position
                && self.types.contains(earlier.event.event_type)
        });
        for earlier in earlier {
            assert!(self.acknowledged.contains(&earlier.position), "{event:?} overtakes {earlier:?}");
        }
        assert!(self.types.contains(event.event.event_type));
        assert!(
            self.now >= self.schedule.progress.held_until,
            "{event:?} is sent although the receiver asked to wait"
        );
        self.under_way.push(UnderWay::Request(event));
    }

    fn answer(&mut self, under_way: UnderWay, failed: Option<Meaning>) {
        match (under_way, failed) {
            (UnderWay::Request(event), None) => {
                self.acknowledged.insert(event.position);
                self.schedule.succeeded(&event.customer_id, self.now);
            }
            (UnderWay::Request(event), Some(meaning)) => {
                self.schedule.failed(&event.customer_id, failure(meaning, None), self.now);
            }
            (UnderWay::LookUp(_, Some(event), _), _) => {
                if self.schedule.found(&event, self.now) {
                    self.send(event);
                }
            }
            (UnderWay::LookUp(customer_id, None, read_to), _) => {
                self.schedule.found_nothing(&customer_id, read_to, self.now);
            }
        }
    }

    fn end_save(&mut self, happened: bool, is_known: bool) {
        let Some(WebhookChanges { progress, state, held, freed }) = self.saving.take() else { return };
        assert_eq!(state, None);
        if is_known {
            self.schedule.noted();
        }
        if !happened {
            return;
        }
        self.saved.0 = progress;
        for freed in freed {
            self.saved.1.remove(&freed);
        }
        for held in held {
            self.saved.1.insert(held.customer_id.clone(), held);
        }
    }

    /// From now on, everything succeeds.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            let last = self.feed.len();
            if self.schedule.progress.cursor.position == i64::try_from(last).unwrap()
                && self.schedule.held.is_empty()
            {
                return;
            }
            self.take(&Step::Read);
            self.take(&Step::Begin);
            while let Some(under_way) = self.under_way.pop() {
                self.answer(under_way, None);
            }
            self.take(&Step::Wait(20 * 60 * SECOND));
        }
        panic!("it does not come to an end: {:?}", self.schedule);
    }
}

impl UnderWay {
    fn customer(&self) -> &CustomerId {
        match self {
            Self::Request(event) => &event.customer_id,
            Self::LookUp(customer_id, ..) => customer_id,
        }
    }
}

proptest! {
    #[test]
    fn each_event_is_acknowledged_in_the_order_of_its_customer_whatever_fails(
        steps in vec(step(), 1..120),
        of_deletes_only in any::<bool>(),
    ) {
        let types = if of_deletes_only {
            [EventType::CustomerDeleted].into_iter().collect()
        } else {
            EventTypes::ALL
        };
        let mut world = World::new(types);
        for step in &steps {
            world.take(step);
        }
        world.finish();
        let is_sent = |event: &&StoredEvent| types.contains(event.event.event_type);
        let sent: BTreeSet<i64> = world.feed.iter().filter(is_sent).map(|event| event.position).collect();
        prop_assert_eq!(&world.acknowledged, &sent, "nothing is lost, and nothing is sent that was not asked for");
        world.take(&Step::Save);
        world.end_save(true, true);
        prop_assert_eq!(world.schedule.take_changes(), None);
        prop_assert!(world.saved.1.is_empty(), "no row is left");
        prop_assert_eq!(world.schedule.oldest_unsent(), None);
    }
}
