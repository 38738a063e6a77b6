//! What an endpoint is sent next. It is decided here and nowhere else, without I/O and without a clock.
//!
//! An event is sent only after the earlier ones of its customer were acknowledged, and one at a time of each customer. The
//! events behind the cursor that are read already are the window. When a try fails, its customer is held back: from that
//! event on it has a row of its own, and the cursor passes over it. So one customer never holds up another one, and there is
//! a row only for those that are held back.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::steps::Steps;
use crate::{
    model::CustomerId,
    store::{Cursor, EventTypes, HeldCustomer, Progress, StoredEvent, WebhookChanges, WebhookState},
};

/// How many requests an endpoint gets at a time.
pub const SENDING_MAX: usize = 32;

/// How many of these may be for customers that are held back, so that they leave room for all others.
const HELD_SENDING_MAX: usize = 16;

/// After how many failures in a row there is one request at a time.
const FAILURES_MAX: i64 = 10;

/// How many events are read ahead.
const WINDOW_EVENTS_MAX: usize = 1024;

/// How many events are read at once.
pub(super) const PAGE_EVENTS: u32 = 256;

/// How many customers of an endpoint are held back before no new events are read.
pub const HELD_CUSTOMERS_MAX: usize = 10_000;

/// How long a try may hold up the window before its customer gets a row of its own, in microseconds.
const PATIENCE_MICROS: i64 = 1_000_000;

/// How long nothing may succeed until the endpoint is paused, in microseconds.
const FAILING_MICROS_MAX: i64 = 5 * 24 * 60 * 60 * 1_000_000;

/// How long the longest wait for a try is at the most, in microseconds. What is to wait for longer was noted before the
/// clock was set back, and waits no more.
const WAIT_MICROS_MAX: i64 = 15 * 60 * 60 * 1_000_000;

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// What it was, in a word.
    pub kind: String,
    /// How long not to send anything at the least, if the receiver said so.
    pub retry_after: Option<Duration>,
    /// What the failure says of the endpoint as a whole.
    pub meaning: Meaning,
}

/// Whom a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The customer: 500, a timeout, and whatever else there is.
    Customer,
    /// Every request: 429 and 503.
    Endpoint,
    /// There is no such endpoint any more: 410.
    Gone,
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// This event.
    Event(StoredEvent),
    /// The first event of a customer that is held back, from this position on.
    Held(CustomerId, i64),
}

/// An endpoint, its window and its customers.
#[derive(Debug)]
pub(super) struct Schedule {
    types: EventTypes,
    steps: Steps,
    /// Another state than active, once it has one.
    ended: Option<WebhookState>,
    progress: Progress,
    window: VecDeque<Mark>,
    /// The events of the window that wait, by customer.
    waiting: HashMap<CustomerId, VecDeque<StoredEvent>>,
    /// Who has such events, and none under way.
    ready: VecDeque<CustomerId>,
    sending: HashMap<CustomerId, Try>,
    held: HashMap<CustomerId, Held>,
    /// The held ones that are not under way, by time.
    due: BTreeSet<(i64, i64, CustomerId)>,
    /// The customers whose row is not as the database has it.
    changed: HashSet<CustomerId>,
    has_changed: bool,
    /// Those whose row is being written down. Whether it was is not known yet.
    taken: Option<HashSet<CustomerId>>,
}

/// An event of the window.
#[derive(Debug)]
struct Mark {
    cursor: Cursor,
    is_done: bool,
}

/// A request that is under way.
#[derive(Debug, Clone, Copy)]
struct Try {
    position: i64,
    occurred: i64,
    began: i64,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    position: i64,
    occurred: i64,
    tries: i64,
    due: i64,
}

impl Schedule {
    pub(super) fn new(types: EventTypes, steps: Steps, progress: Progress, held: Vec<HeldCustomer>) -> Self {
        let mut schedule = Self {
            types,
            steps,
            ended: None,
            progress,
            window: VecDeque::new(),
            waiting: HashMap::new(),
            ready: VecDeque::new(),
            sending: HashMap::new(),
            held: HashMap::new(),
            due: BTreeSet::new(),
            changed: HashSet::new(),
            has_changed: false,
            taken: None,
        };
        for HeldCustomer { customer_id, position, occurred, tries, due } in held {
            schedule.due.insert((due, position, customer_id.clone()));
            schedule.held.insert(customer_id, Held { position, occurred, tries, due });
        }
        schedule
    }

    /// The last event that was read.
    pub(super) fn read_to(&self) -> Cursor {
        self.window.back().map_or(self.progress.cursor, |mark| mark.cursor)
    }

    /// Whether there is room for another page.
    pub(super) fn wants_more(&self) -> bool {
        self.ended.is_none()
            && self.window.len() + PAGE_EVENTS as usize <= WINDOW_EVENTS_MAX
            && self.held.len() < HELD_CUSTOMERS_MAX
    }

    /// Takes the events that follow what was read.
    pub(super) fn read(&mut self, events: Vec<StoredEvent>) {
        for event in events {
            let is_left_out = !self.types.contains(event.event.event_type);
            let is_done = is_left_out || self.held.contains_key(&event.customer_id);
            self.window.push_back(Mark { cursor: event.cursor(), is_done });
            if is_done {
                continue;
            }
            let customer_id = event.customer_id.clone();
            let waiting = self.waiting.entry(customer_id.clone()).or_default();
            waiting.push_back(event);
            if waiting.len() == 1 && !self.sending.contains_key(&customer_id) {
                self.ready.push_back(customer_id);
            }
        }
        self.move_on();
    }

    /// The next try, which begins now. What becomes of it must be told.
    pub(super) fn next(&mut self, now: i64) -> Option<Next> {
        if self.is_stopped(now) {
            return None;
        }
        let is_probing = self.progress.failures >= FAILURES_MAX;
        if self.sending.len() >= if is_probing { 1 } else { SENDING_MAX } {
            return None;
        }
        if self.held.len() - self.due.len() < HELD_SENDING_MAX
            && let Some(held) = self.next_held(now)
        {
            return Some(held);
        }
        if is_probing && !self.held.is_empty() {
            return None;
        }
        self.next_event(now)
    }

    /// Whether no try may begin.
    fn is_stopped(&self, now: i64) -> bool {
        self.ended.is_some() || !has_come(self.progress.held_until, now)
    }

    fn next_held(&mut self, now: i64) -> Option<Next> {
        let ends = [self.due.first(), self.due.last()];
        let next = ends.into_iter().flatten().find(|(due, ..)| has_come(*due, now))?.clone();
        self.due.remove(&next);
        let (_, position, customer_id) = next;
        let occurred = self.held.get(&customer_id)?.occurred;
        self.sending.insert(customer_id.clone(), Try { position, occurred, began: now });
        Some(Next::Held(customer_id, position))
    }

    fn next_event(&mut self, now: i64) -> Option<Next> {
        let customer_id = self.ready.pop_front()?;
        let waiting = self.waiting.get_mut(&customer_id)?;
        let event = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&customer_id);
        }
        let (position, occurred) = (event.position, event.event.occurred);
        self.sending.insert(customer_id, Try { position, occurred, began: now });
        Some(Next::Event(event))
    }

    /// The event that was asked for with [`Next::Held`]. False if it is not to be sent now: no try may begin any more, or its
    /// customer is not held back any more, and the event is read in its turn.
    pub(super) fn found(&mut self, event: &StoredEvent, now: i64) -> bool {
        let is_read = event.position <= self.read_to().position;
        if !is_read {
            self.sending.remove(&event.customer_id);
            self.free(&event.customer_id);
        } else if self.is_stopped(now) {
            self.put_off(&event.customer_id, now);
        } else if let Some(under_way) = self.sending.get_mut(&event.customer_id) {
            (under_way.position, under_way.occurred) = (event.position, event.event.occurred);
            return true;
        }
        false
    }

    /// There is no event for [`Next::Held`] up to this position.
    pub(super) fn found_nothing(&mut self, customer_id: &CustomerId, up_to: i64, now: i64) {
        self.sending.remove(customer_id);
        if self.read_to().position <= up_to {
            self.free(customer_id);
        } else if let Some(mut held) = self.held.get(customer_id).copied() {
            held.position = held.position.max(up_to + 1);
            self.hold(customer_id.clone(), Held { due: now, ..held });
        }
    }

    /// What [`Next::Held`] asked for could not be looked up, or is not to be sent now.
    pub(super) fn put_off(&mut self, customer_id: &CustomerId, due: i64) {
        self.sending.remove(customer_id);
        if let Some(held) = self.held.get(customer_id).copied() {
            self.hold(customer_id.clone(), Held { due, ..held });
        }
    }

    /// A try succeeded.
    pub(super) fn succeeded(&mut self, customer_id: &CustomerId, now: i64) {
        let Some(Try { position, .. }) = self.sending.remove(customer_id) else { return };
        (self.progress.failures, self.progress.failing_since) = (0, None);
        self.has_changed = true;
        if let Some(held) = self.held.get(customer_id).copied() {
            self.hold(customer_id.clone(), Held { position: position + 1, tries: 0, due: now, ..held });
        } else {
            self.done(position);
            if self.waiting.contains_key(customer_id) {
                self.ready.push_back(customer_id.clone());
            }
        }
        self.move_on();
    }

    /// A try failed.
    pub(super) fn failed(&mut self, customer_id: &CustomerId, failed: Failed, now: i64) {
        let Some(Try { position, occurred, .. }) = self.sending.remove(customer_id) else { return };
        let Failed { kind, retry_after, meaning } = failed;
        let tries = self.held.get(customer_id).map_or(0, |held| held.tries) + 1;
        let pause = self.steps.after(tries).max(retry_after.unwrap_or_default());
        let due = now.saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
        self.hold(customer_id.clone(), Held { position, occurred, tries, due });
        let progress = &mut self.progress;
        progress.failures += 1;
        progress.last_failure = Some(kind);
        let failing_since = *progress.failing_since.get_or_insert(now);
        match meaning {
            Meaning::Endpoint => progress.held_until = progress.held_until.max(due),
            Meaning::Gone => self.ended = Some(WebhookState::PausedByReceiver),
            Meaning::Customer => {}
        }
        if self.ended.is_none() && now.saturating_sub(failing_since) >= FAILING_MICROS_MAX {
            self.ended = Some(WebhookState::PausedByFailures);
        }
        self.move_on();
    }

    /// Events that were not sent are not kept any more.
    pub(super) fn lost(&mut self) {
        self.ended = Some(WebhookState::Gone);
        self.has_changed = true;
    }

    /// The state that the endpoint came to, if it is not active any more.
    pub(super) fn ended(&self) -> Option<WebhookState> {
        self.ended
    }

    /// Gives those a row of their own whose try holds up the whole window.
    pub(super) fn give_way(&mut self, now: i64) {
        if self.window.len() + (PAGE_EVENTS as usize) <= WINDOW_EVENTS_MAX || !self.ready.is_empty() {
            return;
        }
        let is_slow = |held_up: &Try| now.saturating_sub(held_up.began) >= PATIENCE_MICROS;
        let slow: Vec<(CustomerId, Try)> = self
            .sending
            .iter()
            .filter(|(customer_id, under_way)| !self.held.contains_key(customer_id) && is_slow(under_way))
            .map(|(customer_id, under_way)| (customer_id.clone(), *under_way))
            .collect();
        for (customer_id, Try { position, occurred, .. }) in slow {
            self.hold(customer_id, Held { position, occurred, tries: 0, due: now });
        }
        self.move_on();
    }

    /// When [`Self::next`] has something that it does not have now, if nothing else happens.
    pub(super) fn next_due(&self) -> Option<i64> {
        let due = self.due.first().map(|(due, ..)| *due);
        let waits = due.or_else(|| self.ready.front().map(|_| 0));
        waits.map(|due| due.max(self.progress.held_until))
    }

    /// Whether something waits, is under way, or is not written down.
    pub(super) fn is_busy(&self) -> bool {
        self.has_changed || self.taken.is_some() || !self.window.is_empty() || !self.held.is_empty()
    }

    /// When the oldest event happened that is not acknowledged, as far as was read.
    pub(super) fn oldest_unsent(&self) -> Option<i64> {
        let first = self.window.front().map(|mark| mark.cursor.occurred);
        self.held.values().map(|held| held.occurred).chain(first).min()
    }

    /// What the database may not know yet: also what was taken before, until [`Self::noted`].
    pub(super) fn take_changes(&mut self) -> Option<WebhookChanges> {
        if let Some(taken) = self.taken.take() {
            self.changed.extend(taken);
            self.has_changed = true;
        }
        if !std::mem::take(&mut self.has_changed) {
            return None;
        }
        let taken = self.taken.insert(std::mem::take(&mut self.changed));
        let (mut held, mut freed) = (Vec::new(), Vec::new());
        for customer_id in taken.iter().cloned() {
            match self.held.get(&customer_id) {
                Some(&Held { position, occurred, tries, due }) => {
                    held.push(HeldCustomer { customer_id, position, occurred, tries, due });
                }
                None => freed.push(customer_id),
            }
        }
        Some(WebhookChanges { progress: self.progress.clone(), state: self.ended, held, freed })
    }

    /// What was taken last is written down.
    pub(super) fn noted(&mut self) {
        self.taken = None;
    }

    /// From this position on, a customer has a row, and what waits of it is read again when it is due.
    fn hold(&mut self, customer_id: CustomerId, held: Held) {
        let under_way = self.sending.contains_key(&customer_id);
        if let Some(old) = self.held.insert(customer_id.clone(), held) {
            self.due.remove(&(old.due, old.position, customer_id.clone()));
        } else {
            let waiting = self.waiting.remove(&customer_id).unwrap_or_default();
            self.ready.retain(|ready| *ready != customer_id);
            self.done(held.position);
            for event in waiting {
                self.done(event.position);
            }
        }
        if !under_way {
            self.due.insert((held.due, held.position, customer_id.clone()));
        }
        self.changed.insert(customer_id);
        self.has_changed = true;
    }

    /// A customer has no row any more.
    fn free(&mut self, customer_id: &CustomerId) {
        if let Some(held) = self.held.remove(customer_id) {
            self.due.remove(&(held.due, held.position, customer_id.clone()));
            self.changed.insert(customer_id.clone());
            self.has_changed = true;
        }
    }

    /// Notes that the window need not wait for an event. Positions have no gaps.
    fn done(&mut self, position: i64) {
        let index = usize::try_from(position - self.progress.cursor.position - 1).ok();
        if let Some(mark) = index.and_then(|index| self.window.get_mut(index)) {
            mark.is_done = true;
        }
    }

    /// Moves the cursor over everything that is done.
    fn move_on(&mut self) {
        while let Some(mark) = self.window.front().filter(|mark| mark.is_done) {
            self.progress.cursor = mark.cursor;
            self.window.pop_front();
            self.has_changed = true;
        }
    }
}

/// Whether this time has come.
fn has_come(time: i64, now: i64) -> bool {
    time <= now || time > now.saturating_add(WAIT_MICROS_MAX)
}

#[cfg(test)]
mod tests;
