//! Holds events against each other and against the customers: whether any is missing, whether those of a customer are a chain,
//! and whether each customer is in the version of its last event.
//!
//! The service may write meanwhile, so what does not fit is looked at again before it is reported.

use std::{
    collections::HashMap,
    future::ready,
    pin::{Pin, pin},
};

use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, Peekable},
};

use super::rows;
use crate::{
    model::CustomerId,
    store::{
        Collection, FeedHead, RawCustomer, RawEvent, Store, StoreError, StoredEvent, Version, shown_key,
    },
};

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

/// A customer by account and id.
type Key = (String, String);

pub(super) async fn check(store: &Store) -> Result<Findings, StoreError> {
    store.number_events().await?;
    let (mut found, before) = (Findings::default(), heads(store).await?);
    let mut feeds: HashMap<String, Feed> = HashMap::new();
    let mut rows = pin!(keyed(rows::customers(store), |row| (row.account.clone(), row.customer_id.clone())));
    let mut events = pin!(keyed(rows::events(store, (String::new(), String::new(), 0)), key_of));
    loop {
        let keys = [next_key(rows.as_mut()).await?, next_key(events.as_mut()).await?];
        let Some(key) = keys.into_iter().flatten().min() else { break };
        let its_row = next_of(rows.as_mut(), &key).await?;
        let head = before.get(&key.0);
        let feed = feeds.entry(key.0.clone()).or_default();
        let last = follow(events.as_mut(), &key, head, feed, &mut found).await?;
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

fn key_of(event: &RawEvent) -> Key {
    (event.account.clone(), event.customer_id.clone())
}

/// Items of customers, each with its key.
fn keyed<T>(
    pages: impl Stream<Item = Result<Vec<T>, StoreError>>,
    key_of: fn(&T) -> Key,
) -> Peekable<impl Stream<Item = Result<(Key, T), StoreError>>> {
    let items = move |page| stream::iter(page).map(move |item| Ok((key_of(&item), item)));
    pages.map_ok(items).try_flatten().peekable()
}

/// The customer of the next item.
async fn next_key<T>(
    mut items: Pin<&mut Peekable<impl Stream<Item = Result<(Key, T), StoreError>>>>,
) -> Result<Option<Key>, StoreError> {
    match items.as_mut().peek().await {
        Some(Ok((key, _))) => Ok(Some(key.clone())),
        Some(Err(_)) | None => items.try_next().await.map(|_| None),
    }
}

/// The next item, if it is of this customer.
async fn next_of<T>(
    items: Pin<&mut Peekable<impl Stream<Item = Result<(Key, T), StoreError>>>>,
    key: &Key,
) -> Result<Option<T>, StoreError> {
    let next = items.next_if(|next| matches!(next, Ok((found, _)) if found == key)).await;
    Ok(next.transpose()?.map(|(_, item)| item))
}

/// Follows the events of a customer. Returns the last one, if there is one that can be read.
async fn follow(
    mut events: Pin<&mut Peekable<impl Stream<Item = Result<(Key, RawEvent), StoreError>>>>,
    key: &Key,
    head: Option<&FeedHead>,
    feed: &mut Feed,
    found: &mut Findings,
) -> Result<Option<StoredEvent>, StoreError> {
    let mut last: Option<StoredEvent> = None;
    while let Some(event) = next_of(events.as_mut(), key).await? {
        found.events += 1;
        if head.is_some_and(|head| event.position > head.pruned && event.position <= head.newest) {
            feed.events += 1;
        }
        match event.event {
            Ok(event) => {
                if last.as_ref().is_some_and(|last| last.event.version() != event.event.previous) {
                    let position = event.position;
                    feed.breaks.push(format!(
                        "{}: the event {position} does not follow the one before",
                        shown_key(&key.0, &key.1)
                    ));
                }
                last = Some(event);
            }
            Err(reason) => {
                found.faults.push(format!(
                    "{}: the event {}: {reason}",
                    shown_key(&key.0, &key.1),
                    event.position
                ));
            }
        }
    }
    Ok(last)
}

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
    Ok(fault.map(|fault| format!("{}: {fault}", shown_key(&key.0, &key.1))))
}

/// The last event of a customer that has this one.
async fn last_event(store: &Store, key: &Key, known: &StoredEvent) -> Result<StoredEvent, StoreError> {
    let after = (key.0.clone(), key.1.clone(), known.position);
    let later = keyed(rows::events(store, after), key_of);
    let later = later.try_take_while(|(found, _)| ready(Ok(found == key)));
    let last = later.try_fold(known.clone(), |last, (_, event)| ready(Ok(event.event.unwrap_or(last))));
    last.await
}
