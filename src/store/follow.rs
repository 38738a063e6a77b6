//! What happened to customers: reading it, waiting for it, and forgetting it.

use std::{convert::Infallible, time::Duration};

use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _,
    dsl::sql,
    sql_query,
    sql_types::{BigInt, Text},
};
use tokio::time::sleep;

use super::{
    collection::Collection,
    engine::{ANSWER_TIMEOUT, Engine, Store, on, within},
    error::StoreError,
    feed::{EventPage, EventRow, FeedHead, FeedQuery, FeedStart, RawEvent, raw_event},
    query::either,
    schema::{events, feed_heads},
};
use crate::{clock, model::CustomerId, telemetry::Outage};

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
        let (asked, (_, of_customer)) = (query.clone(), self.events_by_customer());
        let read = async {
            either!(self.read(|connection| {
                let account = &asked.account;
                let mut rows =
                    events::table.select(EventRow::as_select()).limit(asked.rows_max()).into_boxed();
                rows = match &asked.customer_id {
                    None => rows.filter(events::account.eq(account)),
                    Some(id) => {
                        rows.filter(sql::<Text>(of_customer).eq(account)).filter(events::customer_id.eq(id))
                    }
                };
                rows = match asked.first_position() {
                    Some(first) => rows.filter(events::position.ge(first)).order_by(events::position),
                    None => rows.order_by(events::position.desc()),
                };
                let rows = run!(rows.load(connection))?;
                let mut heads = Vec::new();
                if asked.needs_head(&rows) {
                    let head = feed_heads::table.find(account).select(FeedHead::as_select());
                    heads = run!(head.load(connection))?;
                }
                Ok((heads.pop(), rows))
            }))
        };
        let (head, rows) = within(ANSWER_TIMEOUT, read).await?;
        query.page(head.as_ref(), rows)
    }

    /// Waits until there may be an event after this position, or the database does not answer. It may be dropped.
    pub async fn event_after(&self, collection: impl Into<Collection<'_>>, position: i64) {
        self.wait(collection.into(), position, false).await;
    }

    /// The same for a request. Returns false if it has to go: [`Self::dismiss_followers`].
    pub async fn event_after_for_request(
        &self,
        collection: impl Into<Collection<'_>>,
        position: i64,
    ) -> bool {
        self.wait(collection.into(), position, true).await
    }

    async fn wait(&self, collection: Collection<'_>, position: i64, is_request: bool) -> bool {
        let poll = async |accounts| within(ANSWER_TIMEOUT, async { on!(self.newest_events(accounts)) }).await;
        self.followers.wait(collection.as_str(), position, is_request, poll).await
    }

    /// Ends the waiting of all requests of the account of which the most wait, because others need their places.
    pub fn dismiss_followers(&self) {
        self.followers.dismiss();
    }

    /// Whether whoever awaits [`Self::event_after`] would know by now of an event from a second ago: then there is nothing to read.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.followers.are_up_to_date()
    }

    /// Gives all events that are committed by now their positions, which otherwise happens soon.
    pub async fn number_events(&self) -> Result<(), StoreError> {
        within(ANSWER_TIMEOUT, async { on!(self.number_events()) }).await
    }

    /// Where the events of each account begin and end.
    pub async fn feed_heads(&self) -> Result<Vec<FeedHead>, StoreError> {
        either!(self.read(|connection| {
            let heads = feed_heads::table.order_by(feed_heads::account).select(FeedHead::as_select());
            run!(heads.load(connection))
        }))
    }

    /// Reads at most `limit` events of all accounts in the order of account, customer and position, after this place.
    pub async fn scan_events(
        &self,
        after: (String, String, i64),
        limit: u32,
    ) -> Result<Vec<RawEvent>, StoreError> {
        let (table, account) = self.events_by_customer();
        let text = format!(
            "SELECT * FROM {table} WHERE ({account}, customer_id, position) > ($1, $2, $3) \
             ORDER BY {account}, customer_id, position LIMIT $4"
        );
        let rows: Vec<EventRow> = either!(self.read(|connection| {
            let (account, customer_id, position) = &after;
            let rows = sql_query(&text).bind::<Text, _>(account).bind::<Text, _>(customer_id);
            let rows = rows.bind::<BigInt, _>(position).bind::<BigInt, _>(i64::from(limit));
            run!(rows.load(connection))
        }))?;
        Ok(rows.into_iter().map(raw_event).collect())
    }

    /// The table and the account in a query that goes through the index `events_by_customer`.
    fn events_by_customer(&self) -> (&'static str, &'static str) {
        match self.engine {
            Engine::Sqlite(_) => ("events INDEXED BY events_by_customer", "account"),
            Engine::Postgres(_) => ("events", "account || ''"),
        }
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
