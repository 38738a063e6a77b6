//! What happened to customers: reading it, waiting for it, and forgetting it.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;

use super::{
    collection::Collection,
    engine::{ANSWER_TIMEOUT, Engine, Store, on, within},
    error::StoreError,
    exported::UsedSignature,
    feed::{EventPage, FeedHead, FeedQuery, FeedStart, RawEvent, raw_event},
    moved::{MovedEvent, MovedOutcome},
};
use crate::{clock, model::CustomerId, telemetry::Outage};

/// How often old events are looked for.
const PRUNE_PAUSE: Duration = Duration::from_secs(10);

/// How long to rest after a step of pruning, so that writers are not held up for long.
const PRUNE_REST: Duration = Duration::from_millis(2);

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

impl Store {
    /// Reads at most `limit` events, of one customer if one is given. `None` if the page cannot go on where it should: events
    /// after it are gone, or its own is another one than it was.
    pub async fn events(
        &self,
        collection: impl Into<Collection<'_>>,
        customer_id: Option<&CustomerId>,
        start: FeedStart,
        limit: u32,
    ) -> Result<Option<EventPage>, StoreError> {
        let account = collection.into().as_str().to_owned();
        let customer_id = customer_id.map(|customer_id| customer_id.as_str().to_owned());
        let query = FeedQuery { account, customer_id, start, limit };
        let asked = query.clone();
        let (head, rows) = within(ANSWER_TIMEOUT, async { on!(self.feed(asked)) }).await?;
        query.page(head.as_ref(), rows)
    }

    /// Waits until there may be an event after this position, or the database does not answer. It may be dropped.
    pub async fn event_after(&self, collection: impl Into<Collection<'_>>, position: i64) {
        let collection = collection.into();
        let followers = match &self.engine {
            Engine::Sqlite(engine) => engine.followers(),
            Engine::Postgres(engine) => engine.followers(),
        };
        let poll = async |accounts| within(ANSWER_TIMEOUT, async { on!(self.newest_events(accounts)) }).await;
        followers.wait(collection.as_str(), position, poll).await;
    }

    /// Gives all events that are committed by now their positions, which otherwise happens soon.
    pub async fn number_events(&self) -> Result<(), StoreError> {
        within(ANSWER_TIMEOUT, async { on!(self.number_events()) }).await
    }

    /// Where the events of each account begin and end.
    pub async fn feed_heads(&self) -> Result<Vec<FeedHead>, StoreError> {
        on!(self.feed_heads())
    }

    /// Reads at most `limit` events of all accounts in the order of account, customer and position, after this place.
    pub async fn scan_events(
        &self,
        after: (String, String, i64),
        limit: u32,
    ) -> Result<Vec<RawEvent>, StoreError> {
        Ok(on!(self.scan_events(after, limit))?.into_iter().map(raw_event).collect())
    }

    /// Takes over events of another database, in their order. Returns what became of each.
    pub async fn take_over_events(&self, events: Vec<MovedEvent>) -> Result<Vec<MovedOutcome>, StoreError> {
        self.number_events().await?;
        on!(self.take_over_events(events))
    }

    /// Remembers signatures that carried out a write in another database, so that they do not do so again here.
    pub async fn remember_signatures(&self, used: Vec<UsedSignature>) -> Result<(), StoreError> {
        on!(self.remember_signatures(used))
    }

    /// Prunes events for as long as it is awaited: those that happened more than so many days ago.
    pub async fn keep_events(&self, days: u32) -> Infallible {
        let outage = Outage::new();
        loop {
            let pruned = self.prune_events(days).await;
            outage.note(&pruned, "old events cannot be pruned", "old events are pruned again");
            sleep(PRUNE_PAUSE).await;
        }
    }

    /// Prunes the events that happened more than so many days ago, in small steps.
    pub async fn prune_events(&self, days: u32) -> Result<(), StoreError> {
        let before = clock::now().timestamp_micros() - i64::from(days) * DAY_MICROS;
        while on!(self.prune_events(before))? {
            sleep(PRUNE_REST).await;
        }
        Ok(())
    }
}
