//! Events that come from another database, and keep their positions.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _, insert_into, sql_query, sql_types::BigInt,
};

use super::{
    engine::{Engine, Store},
    error::StoreError,
    exported::UsedSignature,
    feed::{Cursor, EventRow, FeedHead, StoredEvent},
    postgres::numberer::NUMBERING_LOCK,
    query::{either, query},
    schema::{events, feed_heads, used_signatures},
};
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
    pub fn position(&self) -> i64 {
        match &self.moved {
            Moved::Pruned(cursor) => cursor.position,
            Moved::Event(event) => event.position,
        }
    }
}

impl Store {
    /// Takes over events of another database, in their order. Returns what became of each.
    pub async fn take_over_events(&self, moved: Vec<MovedEvent>) -> Result<Vec<MovedOutcome>, StoreError> {
        self.number_events().await?;
        let has_numberer = matches!(self.engine, Engine::Postgres(_));
        either!(self.transaction(|connection| {
            if has_numberer {
                let lock = sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(NUMBERING_LOCK);
                run!(lock.execute(connection))?;
            }
            let accounts: BTreeSet<&str> = moved.iter().map(|event| event.account.as_str()).collect();
            let positions: BTreeSet<i64> = moved.iter().map(MovedEvent::position).collect();
            let heads = feed_heads::table.filter(feed_heads::account.eq_any(accounts.clone()));
            let heads = run!(heads.select(FeedHead::as_select()).load(connection))?;
            let rows = events::table.filter(events::account.eq_any(accounts));
            let rows = rows.filter(events::position.eq_any(positions)).select(EventRow::as_select());
            let mut destination = Destination::new(heads, run!(rows.load(connection))?);
            let outcomes = moved.iter().map(|event| destination.add(event)).collect();
            let (rows, heads) = destination.into_changes();
            run!(insert_into(events::table).values(&rows).execute(connection))?;
            for head in &heads {
                let put = insert_into(feed_heads::table).values(head).on_conflict(feed_heads::account);
                run!(put.do_update().set(feed_heads::newest.eq(head.newest)).execute(connection))?;
            }
            Ok(outcomes)
        }))
    }

    /// Remembers signatures that carried out a write in another database, so that they do not do so again here.
    pub async fn remember_signatures(&self, used: Vec<UsedSignature>) -> Result<(), StoreError> {
        let row = |UsedSignature { signature, outcome }: UsedSignature| {
            (
                used_signatures::expires_at.eq(signature.expires_at),
                used_signatures::hash.eq(signature.hash.to_vec()),
                used_signatures::outcome.eq(outcome.to_bytes()),
            )
        };
        let rows: Vec<_> = used.into_iter().map(row).collect();
        let noted = query!(self, |connection| insert_into(used_signatures::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(connection));
        noted.map(drop)
    }
}

/// The place that events are moved to: what is there, and what is to be written.
struct Destination {
    heads: BTreeMap<String, FeedHead>,
    there: BTreeMap<(String, i64), EventRow>,
    changed: BTreeSet<String>,
    rows: BTreeMap<(String, i64), EventRow>,
}

impl Destination {
    fn new(heads: Vec<FeedHead>, there: Vec<EventRow>) -> Self {
        let heads = heads.into_iter().map(|head| (head.account.clone(), head)).collect();
        let there = there.into_iter().map(|row| ((row.account.clone(), row.position), row)).collect();
        Self { heads, there, changed: BTreeSet::new(), rows: BTreeMap::new() }
    }

    /// Decides what becomes of an event.
    fn add(&mut self, event: &MovedEvent) -> MovedOutcome {
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
            let there = self.there.get(&key).or(self.rows.get(&key));
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
    fn into_changes(self) -> (Vec<EventRow>, Vec<FeedHead>) {
        let Self { heads, there: _, changed, rows } = self;
        let heads = heads.into_values().filter(|head| changed.contains(&head.account)).collect();
        (rows.into_values().collect(), heads)
    }
}
