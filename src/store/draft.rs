//! A group's writes, decided one after the other, and what is to be written for all of them.

use std::{collections::HashMap, ptr};

use super::{
    decide::{Change, Current, DamagedOutcome, Decision, Effect, Event, Outcome, decide},
    error::StoreError,
    types::Record,
    used::expired_before,
    version::Version,
    write::{Done, Told, Write},
};
use crate::signature_id::SignatureId;

/// The primary key of a customer: account and id.
pub(super) type Key<'a> = (&'a str, &'a str);

/// What the database has for one write of a group.
#[derive(Default)]
pub(super) struct Found {
    /// The customer, if it is there.
    pub current: Option<Current>,
    /// What the write's signature has done, if it was used and no row shows it.
    pub used: Option<Result<Outcome, DamagedOutcome>>,
    /// For an import: the version in the customer's last event, if it has one and that is no delete.
    pub last: Option<Version>,
}

/// What is to be written for a group, at most once for each customer. What is deleted goes first: a customer that was
/// deleted and created again is in two of the lists.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub deleted: Vec<Key<'a>>,
    /// In the order of creation.
    pub inserted: Vec<NewRow<'a>>,
    pub updated: Vec<NewRow<'a>>,
    pub used: Vec<(SignatureId, Outcome)>,
    /// One for each change, in the order of the writes.
    pub events: Vec<(Key<'a>, Event)>,
    /// No customer may be created with an earlier timestamp from now on: something was deleted, or imported.
    pub high_water: Option<i64>,
}

/// A row of `customers`, to be inserted or updated. Times are microseconds since the Unix epoch.
pub(super) struct NewRow<'a> {
    pub key: Key<'a>,
    pub version: Version,
    /// An update leaves it as it was.
    pub created: i64,
    pub updated: i64,
    /// In Unix seconds.
    pub signature_expires_at: Option<i64>,
    pub record: &'a Record,
    /// When it came from another database, if it did.
    pub imported: Option<i64>,
}

/// A customer while the writes of a group are decided.
struct State<'a> {
    was_there: bool,
    /// Whether what is there now is another customer than the one that was there: walks that were begun before leave it out.
    is_new: bool,
    current: Option<Current>,
    /// When what is there now came from another database, if it did.
    imported: Option<i64>,
    /// The last write that changed it.
    by: Option<&'a Write>,
    /// The last event in this group, if there was one.
    last: Option<Event>,
}

/// Decides the writes of a group in their order, so that a later one sees an earlier one. Returns what to tell the caller of
/// each.
pub(super) fn decide_all(group: &[Write], found: Vec<Found>) -> (Vec<Told>, Draft<'_>) {
    let forgotten_before = expired_before();
    let mut states: HashMap<Key<'_>, State<'_>> = HashMap::with_capacity(group.len());
    let (mut used, mut draft) = (HashMap::new(), Draft::default());
    let mut told = Vec::with_capacity(group.len());
    for (write, Found { current, used: first, last }) in group.iter().zip(found) {
        let signature = write.change.signature();
        let known = signature.and_then(|signature| used.get(&signature).copied().map(Ok)).or(first);
        let state = states.entry(write.key()).or_insert_with(|| State::new(current));
        told.push(match known.transpose() {
            Ok(known) => {
                let (current, last) =
                    (state.current.as_ref(), state.last.as_ref().map_or(last, Event::version));
                let decision = decide(&write.change, write.timestamp, current, known, forgotten_before, last);
                let Decision { outcome, is_repeated, effect, used: noted, event } = decision;
                state.apply(effect, write);
                used.extend(noted.iter().copied());
                draft.used.extend(noted);
                let event_type = event.as_ref().map(|event| event.event_type);
                if let Some(event) = event {
                    state.last = Some(event.clone());
                    draft.events.push((write.key(), event));
                }
                Ok(Done { outcome, is_repeated, event_type })
            }
            Err(damaged) => Err(StoreError::failed(damaged)),
        });
    }
    // In the order of the writes, and not of the map.
    for write in group {
        if let Some(state) = states.get(&write.key())
            && state.by.is_some_and(|by| ptr::eq(by, write))
        {
            draft.add(state, write);
        }
    }
    (told, draft)
}

impl<'a> State<'a> {
    fn new(current: Option<Current>) -> Self {
        let (was_there, is_new) = (current.is_some(), current.is_none());
        Self { was_there, is_new, current, imported: None, by: None, last: None }
    }

    fn apply(&mut self, effect: Effect, write: &'a Write) {
        let next = match effect {
            Effect::Nothing => return,
            Effect::Write(next) => Some(next),
            Effect::Delete => None,
        };
        let created = |customer: &Option<Current>| customer.map(|customer| customer.created);
        if created(&next) != created(&self.current) {
            self.is_new = true;
            self.imported = matches!(write.change, Change::Import { .. }).then_some(write.timestamp);
        }
        (self.current, self.by) = (next, Some(write));
    }
}

impl<'a> Draft<'a> {
    fn add(&mut self, state: &State<'a>, by: &'a Write) {
        let State { was_there, is_new, current, imported, .. } = *state;
        let key = by.key();
        if was_there && is_new {
            self.deleted.push(key);
            self.high_water = self.high_water.max(Some(by.timestamp));
        }
        let Some((Current { version: Some(version), created, updated, signature_expires_at }, record)) =
            current.zip(by.change.record())
        else {
            return;
        };
        if imported.is_some() {
            self.high_water = self.high_water.max(Some(created));
        }
        let row = NewRow { key, version, created, updated, signature_expires_at, record, imported };
        if is_new { self.inserted.push(row) } else { self.updated.push(row) }
    }
}
