//! Holds events against each other and against the customers: whether any is missing, whether those of a customer are a chain,
//! and whether each customer is in the version of its last event.
//!
//! The service may write meanwhile, so what does not fit is looked at again before it is reported.

use std::{cmp::Ordering, collections::HashMap, mem};

use super::rows::Rows;
use crate::{
    model::CustomerId,
    store::{Collection, FeedHead, RawCustomer, RawEvent, Store, StoreError, StoredEvent, Version},
};

/// How many events are read at once.
const PAGE_EVENTS: u32 = 1000;

/// How often something that does not fit is looked at.
const LOOKS: usize = 5;

/// What was found, without a word of any content.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) events: u64,
    pub(super) faults: Vec<String>,
    /// What an older version of the service explains, which wrote without telling.
    pub(super) notes: Vec<String>,
}

/// An account while its events are read.
#[derive(Default)]
struct Feed {
    /// How many of the events are there that were when it began.
    events: i64,
    /// Events that do not follow the one before.
    breaks: Vec<String>,
}

/// All events, by account and customer.
struct Events<'a> {
    store: &'a Store,
    after: (String, String, i64),
    page: std::vec::IntoIter<RawEvent>,
    next: Option<RawEvent>,
}

/// A customer by account and id.
type Key = (String, String);

/// Checks all events.
pub(super) async fn check(store: &Store) -> Result<Findings, StoreError> {
    store.number_events().await?;
    let (mut found, before) = (Findings::default(), heads(store).await?);
    let mut feeds: HashMap<String, Feed> = HashMap::new();
    let (mut rows, mut row_page) = (Rows::new(store), Vec::new().into_iter());
    let mut events = Events::start(store).await?;
    let mut row = next_row(&mut rows, &mut row_page).await?;
    loop {
        let key = match (&row, events.key()) {
            (None, None) => break,
            (Some(row), None) => key_of(row),
            (None, Some(key)) => key,
            (Some(row), Some(key)) => key.min(key_of(row)),
        };
        let its_row = match &row {
            Some(found) if key_of(found).cmp(&key) == Ordering::Equal => {
                mem::replace(&mut row, next_row(&mut rows, &mut row_page).await?)
            }
            _ => None,
        };
        let head = before.get(&key.0);
        let feed = feeds.entry(key.0.clone()).or_default();
        let last = follow(&mut events, &key, head, feed, &mut found).await?;
        let version = |row: &RawCustomer| row.customer.as_ref().ok().map(|customer| customer.version);
        let its_row = its_row.map_or(Row::Missing, |row| Row::There(version(&row)));
        if let Some(last) = last
            && mismatch(its_row, &last).is_some()
        {
            found.faults.extend(look_again(store, &key, &last).await?);
        }
    }
    let after = heads(store).await?;
    for (account, head) in before {
        let Feed { events, breaks } = feeds.remove(&account).unwrap_or_default();
        // Otherwise events were pruned meanwhile.
        let is_as_before = after.get(&account).is_some_and(|after| after.pruned == head.pruned);
        let expected = head.newest - head.pruned;
        if is_as_before && events != expected {
            let missing = expected - events;
            found.faults.push(format!("{account}: {missing} of {expected} events are missing"));
            found.faults.extend(breaks);
        } else {
            found.notes.extend(breaks);
        }
    }
    Ok(found)
}

async fn heads(store: &Store) -> Result<HashMap<String, FeedHead>, StoreError> {
    let heads = store.feed_heads().await?;
    Ok(heads.into_iter().map(|head| (head.account.clone(), head)).collect())
}

fn key_of(row: &RawCustomer) -> Key {
    (row.account.clone(), row.customer_id.clone())
}

async fn next_row(
    rows: &mut Rows<'_>,
    page: &mut std::vec::IntoIter<RawCustomer>,
) -> Result<Option<RawCustomer>, StoreError> {
    if page.len() == 0 {
        *page = rows.next().await?.unwrap_or_default().into_iter();
    }
    Ok(page.next())
}

impl<'a> Events<'a> {
    async fn start(store: &'a Store) -> Result<Self, StoreError> {
        let after = (String::new(), String::new(), 0);
        let mut events = Self { store, after, page: Vec::new().into_iter(), next: None };
        events.advance().await?;
        Ok(events)
    }

    fn key(&self) -> Option<Key> {
        self.next.as_ref().map(|next| (next.account.clone(), next.customer_id.clone()))
    }

    /// The next event; the one after it is read.
    async fn advance(&mut self) -> Result<Option<RawEvent>, StoreError> {
        if self.page.len() == 0 {
            let page = self.store.scan_events(self.after.clone(), PAGE_EVENTS).await?;
            if let Some(last) = page.last() {
                self.after = (last.account.clone(), last.customer_id.clone(), last.position);
            }
            self.page = page.into_iter();
        }
        Ok(mem::replace(&mut self.next, self.page.next()))
    }
}

/// Follows the events of a customer. Returns the last one, if there is one that can be read.
async fn follow(
    events: &mut Events<'_>,
    key: &Key,
    head: Option<&FeedHead>,
    feed: &mut Feed,
    found: &mut Findings,
) -> Result<Option<StoredEvent>, StoreError> {
    let mut last: Option<StoredEvent> = None;
    while events.key().as_ref() == Some(key)
        && let Some(event) = events.advance().await?
    {
        found.events += 1;
        if head.is_some_and(|head| event.position > head.pruned && event.position <= head.newest) {
            feed.events += 1;
        }
        match event.event {
            Ok(event) => {
                if last.as_ref().is_some_and(|last| last.event.version() != event.event.previous) {
                    let position = event.position;
                    feed.breaks
                        .push(format!("{}: the event {position} does not follow the one before", shown(key)));
                }
                last = Some(event);
            }
            Err(reason) => {
                found.faults.push(format!("{}: the event {}: {reason}", shown(key), event.position));
            }
        }
    }
    Ok(last)
}

/// The row of a customer.
#[derive(Clone, Copy)]
enum Row {
    Missing,
    /// It has no version if it is damaged.
    There(Option<Version>),
}

/// What is wrong with a row, given the last event of its customer.
fn mismatch(row: Row, last: &StoredEvent) -> Option<&'static str> {
    match (row, last.event.version()) {
        (Row::Missing, Some(_)) => Some("it is missing, although its last event is no delete"),
        (Row::There(_), None) => Some("it is there, although its last event is a delete"),
        (Row::There(version), last) if version != last => Some("its version is not that of its last event"),
        _ => None,
    }
}

/// What is still wrong with a customer once its row and its last event are of the same time.
async fn look_again(store: &Store, key: &Key, seen: &StoredEvent) -> Result<Option<String>, StoreError> {
    let (Ok(collection), Ok(id)) = (Collection::parse(&key.0), key.1.parse::<CustomerId>()) else {
        return Ok(None);
    };
    let (mut last, mut fault) = (seen.clone(), None);
    for _ in 0..LOOKS {
        store.number_events().await?;
        let row = store.get(collection.by_ref(), &id).await?;
        store.number_events().await?;
        let now = last_event(store, key, &last).await?;
        let row = row.map_or(Row::Missing, |row| Row::There(Some(row.version)));
        fault = mismatch(row, &now);
        if fault.is_none() {
            return Ok(None);
        }
        last = now;
    }
    Ok(fault.map(|fault| format!("{}: {fault}", shown(key))))
}

/// The last event of a customer that has this one.
async fn last_event(store: &Store, key: &Key, known: &StoredEvent) -> Result<StoredEvent, StoreError> {
    let mut last = known.clone();
    loop {
        let after = (key.0.clone(), key.1.clone(), last.position);
        let page = store.scan_events(after, PAGE_EVENTS).await?;
        let of_customer =
            page.into_iter().take_while(|event| event.account == key.0 && event.customer_id == key.1);
        match of_customer.filter_map(|event| event.event.ok()).last() {
            Some(later) => last = later,
            None => return Ok(last),
        }
    }
}

/// A text that is not a name or an id may hold anything, and is shown as `?`.
fn shown((account, customer_id): &Key) -> String {
    let account = Collection::parse(account).map_or("?", |_| account);
    let customer_id = customer_id.parse::<CustomerId>();
    let customer_id = customer_id.as_ref().map_or("?", CustomerId::as_str);
    format!("{account}/{}", customer_id.escape_debug())
}
