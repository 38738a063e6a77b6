//! Events that come from another database, and keep their positions.

use std::collections::{BTreeMap, BTreeSet};

use super::feed::{Cursor, EventRow, FeedHead, StoredEvent};
use crate::account::Account;

/// A part of the feed of another database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedEvent {
    /// The account.
    pub account: Account,
    /// What was there.
    pub moved: Moved,
}

/// An event, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// The last event that was pruned.
    Pruned(Cursor),
    /// An event that was kept.
    Event(StoredEvent),
}

/// What became of a [`MovedEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovedOutcome {
    /// It was written.
    Written,
    /// It is there already, or was and is pruned.
    AlreadyThere,
    /// Another event has its position. Nothing was written.
    Taken,
    /// An event before it is missing. Nothing was written.
    Gap,
}

impl MovedEvent {
    /// The position of the event.
    #[must_use]
    pub fn position(&self) -> i64 {
        match &self.moved {
            Moved::Pruned(cursor) => cursor.position,
            Moved::Event(event) => event.position,
        }
    }
}

/// The place that events are moved to: what is there, and what is to be written.
pub(super) struct Destination {
    heads: BTreeMap<String, FeedHead>,
    changed: BTreeSet<String>,
    rows: BTreeMap<(String, i64), EventRow>,
}

impl Destination {
    pub(super) fn new(heads: Vec<FeedHead>) -> Self {
        let heads = heads.into_iter().map(|head| (head.account.clone(), head)).collect();
        Self { heads, changed: BTreeSet::new(), rows: BTreeMap::new() }
    }

    /// Decides what becomes of an event. `there` is the row that the database has at its position.
    pub(super) fn add(&mut self, event: &MovedEvent, there: Option<&EventRow>) -> MovedOutcome {
        let (account, position) = (event.account.as_str().to_owned(), event.position());
        let event = match &event.moved {
            Moved::Pruned(_) if self.heads.contains_key(&account) => return MovedOutcome::AlreadyThere,
            Moved::Pruned(Cursor { id, occurred, .. }) => {
                let (pruned_id, pruned_at) = (Some(id.as_bytes().to_vec()), Some(*occurred));
                let head = FeedHead {
                    account: account.clone(),
                    newest: position,
                    pruned: position,
                    pruned_id,
                    pruned_at,
                };
                self.heads.insert(account.clone(), head);
                self.changed.insert(account);
                return MovedOutcome::Written;
            }
            Moved::Event(event) => event,
        };
        let before = position - 1;
        let head = self.heads.entry(account.clone()).or_insert_with(|| FeedHead {
            account: account.clone(),
            newest: before,
            pruned: before,
            pruned_id: None,
            pruned_at: None,
        });
        if position <= head.pruned {
            return MovedOutcome::AlreadyThere;
        }
        let row = EventRow::new(&account, event);
        let key = (account, position);
        if position <= head.newest {
            let there = there.or(self.rows.get(&key));
            return if there == Some(&row) { MovedOutcome::AlreadyThere } else { MovedOutcome::Taken };
        }
        if position > head.newest + 1 {
            return MovedOutcome::Gap;
        }
        head.newest = position;
        self.changed.insert(key.0.clone());
        self.rows.insert(key, row);
        MovedOutcome::Written
    }

    /// The rows to insert, and the heads to put.
    pub(super) fn into_changes(self) -> (Vec<EventRow>, Vec<FeedHead>) {
        let Self { heads, changed, rows } = self;
        let heads = heads.into_values().filter(|head| changed.contains(&head.account)).collect();
        (rows.into_values().collect(), heads)
    }
}
