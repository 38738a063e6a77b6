//! Pages of the feed: the events of an account, or of one of its customers, in their order.

use diesel::{Insertable, Queryable, QueryableByName, Selectable};

use super::{
    decide::Event,
    error::StoreError,
    schema::{events, feed_heads},
    version::Version,
};
use crate::model::{self, CustomerId, EventType, Timestamp};

/// A place in the feed: right after this event. A place before the first event has position 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The position of the event.
    pub position: i64,
    /// What tells the event from another one at its position.
    pub id: Version,
    /// When it happened, in microseconds since the Unix epoch; an id may come twice.
    pub occurred: i64,
}

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self { position: 0, id: Version::ZERO, occurred: 0 };
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedStart {
    /// With the oldest event that is kept.
    Oldest,
    /// After the newest event.
    Newest,
    /// After this event, if it is still there, or was the last one to be pruned.
    After(Cursor),
}

/// An event in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its position among those of its account.
    pub position: i64,
    /// The customer that changed.
    pub customer_id: CustomerId,
    /// What happened.
    pub event: Event,
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<StoredEvent>,
    /// Where the next page begins.
    pub next: Cursor,
    /// Whether there are events after the last one.
    pub has_more: bool,
}

/// A row of `events` as it stands in the database, which nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// The account, as text.
    pub account: String,
    /// The customer's id, as text.
    pub customer_id: String,
    /// The position.
    pub position: i64,
    /// The same row as an event, or the reason why it cannot be one.
    pub event: Result<StoredEvent, &'static str>,
}

/// Where the events of an account begin and end.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, QueryableByName)]
#[diesel(table_name = feed_heads)]
pub struct FeedHead {
    /// The account, as text.
    pub account: String,
    /// The position of the newest event.
    pub newest: i64,
    /// The position of the last event that was pruned; 0 if none was.
    pub pruned: i64,
    pub(super) pruned_id: Option<Vec<u8>>,
    pub(super) pruned_at: Option<i64>,
}

impl FeedHead {
    /// Right after the last event that was pruned; `None` if that is not known.
    #[must_use]
    pub fn begin(&self) -> Option<Cursor> {
        if self.pruned == 0 {
            return Some(Cursor::START);
        }
        let id = Version::from_bytes(self.pruned_id.as_deref()?)?;
        Some(Cursor { position: self.pruned, id, occurred: self.pruned_at? })
    }
}

/// A row of `events`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, QueryableByName)]
#[diesel(table_name = events)]
pub(super) struct EventRow {
    pub account: String,
    pub position: i64,
    pub customer_id: String,
    pub event_id: Vec<u8>,
    pub event_type: i64,
    pub occurred_at: i64,
    pub previous: Option<Vec<u8>>,
    pub key_id: Option<String>,
}

const OUT_OF_RANGE: &str = "the timestamp of an event is out of range";

/// As it is kept.
pub(super) const fn event_type_number(event_type: EventType) -> i64 {
    match event_type {
        EventType::CustomerCreated => 1,
        EventType::CustomerUpdated => 2,
        EventType::CustomerDeleted => 3,
    }
}

impl EventRow {
    pub(super) fn new(account: &str, stored: &StoredEvent) -> Self {
        let StoredEvent { position, customer_id, event } = stored;
        let Event { id, event_type, occurred, previous, key_id } = event;
        Self {
            account: account.to_owned(),
            position: *position,
            customer_id: customer_id.as_str().to_owned(),
            event_id: id.as_bytes().to_vec(),
            event_type: event_type_number(*event_type),
            occurred_at: *occurred,
            previous: previous.map(|previous| previous.as_bytes().to_vec()),
            key_id: key_id.clone(),
        }
    }

    fn is_after(&self, cursor: &Cursor) -> bool {
        self.event_id == cursor.id.as_bytes() && self.occurred_at == cursor.occurred
    }
}

/// The version in the customer's last event, of which these are the type and the id.
pub(super) fn last_version(event_type: i64, event_id: &[u8]) -> Option<Version> {
    let is_there = event_type != event_type_number(EventType::CustomerDeleted);
    is_there.then(|| Version::from_bytes(event_id)).flatten()
}

impl TryFrom<EventRow> for StoredEvent {
    type Error = &'static str;

    fn try_from(row: EventRow) -> Result<Self, &'static str> {
        let EventRow {
            account: _,
            position,
            customer_id,
            event_id,
            event_type,
            occurred_at,
            previous,
            key_id,
        } = row;
        let event_type = EventType::ALL.into_iter().find(|known| event_type_number(*known) == event_type);
        let version = |bytes: &[u8]| Version::from_bytes(bytes).ok_or("a version of an event is malformed");
        Timestamp::from_micros(occurred_at).ok_or(OUT_OF_RANGE)?;
        let event = Event {
            id: version(&event_id)?,
            event_type: event_type.ok_or("the type of an event is not known")?,
            occurred: occurred_at,
            previous: previous.as_deref().map(version).transpose()?,
            key_id,
        };
        let customer_id = CustomerId::try_from(customer_id)
            .map_err(|_| "the customer id of an event breaks the contract")?;
        Ok(Self { position, customer_id, event })
    }
}

/// As the contract has it.
impl TryFrom<StoredEvent> for model::Event {
    type Error = &'static str;

    fn try_from(stored: StoredEvent) -> Result<Self, &'static str> {
        let StoredEvent { position: _, customer_id, event } = stored;
        let version = event.version().map(|version| version.to_string());
        let Event { id, event_type, occurred, previous, key_id } = event;
        let (event_id, previous) = (id.to_string(), previous.map(|previous| previous.to_string()));
        let occurred = Timestamp::from_micros(occurred).ok_or(OUT_OF_RANGE)?;
        Ok(Self { event_id, event_type, occurred, customer_id, version, previous, key_id })
    }
}

/// Keeps a damaged row, so that it can be reported.
pub(super) fn raw_event(row: EventRow) -> RawEvent {
    let (account, customer_id, position) = (row.account.clone(), row.customer_id.clone(), row.position);
    RawEvent { account, customer_id, position, event: row.try_into() }
}

/// What a page is asked for.
#[derive(Clone)]
pub(super) struct FeedQuery {
    pub account: String,
    pub customer_id: Option<String>,
    pub start: FeedStart,
    /// How many events the page has at most.
    pub limit: u32,
}

impl FeedQuery {
    /// The position of the first row that is needed, which is the event that was read last; `None` for the last row alone.
    pub(super) fn first_position(&self) -> Option<i64> {
        match &self.start {
            FeedStart::Oldest => Some(0),
            FeedStart::Newest => None,
            FeedStart::After(cursor) => Some(cursor.position),
        }
    }

    /// How many rows are needed: the event that was read last, those of the page, and one that shows that there are more.
    pub(super) fn rows_max(&self) -> i64 {
        self.first_position().map_or(1, |_| i64::from(self.limit) + 2)
    }

    /// Whether the rows alone do not say where the page begins. The head is read after them: an event that is in neither was
    /// pruned before the others were read.
    pub(super) fn needs_head(&self, rows: &[EventRow]) -> bool {
        match (self.start, rows) {
            (_, []) => true,
            (FeedStart::After(cursor), [first, ..]) => first.position != cursor.position,
            (FeedStart::Oldest | FeedStart::Newest, _) => false,
        }
    }

    /// The page, from what the database has: the rows from [`Self::first_position`] on, and the head of the account if it is
    /// needed. `None` if it cannot go on: events are gone, or are others than they were.
    pub(super) fn page(
        &self,
        head: Option<&FeedHead>,
        mut rows: Vec<EventRow>,
    ) -> Result<Option<EventPage>, StoreError> {
        let begin = head.map_or(Some(Cursor::START), FeedHead::begin);
        let newest = head.map_or(0, |head| head.newest);
        let next = match self.start {
            FeedStart::Oldest => begin.unwrap_or(Cursor::START),
            FeedStart::Newest => {
                let last = rows.pop().map(StoredEvent::try_from).transpose().map_err(StoreError::failed)?;
                last.map(|last| last.cursor()).or(begin).unwrap_or(Cursor::START)
            }
            FeedStart::After(cursor) => {
                let is_kept = rows.first().is_some_and(|row| row.position == cursor.position);
                let goes_on = if is_kept {
                    rows.remove(0).is_after(&cursor)
                } else {
                    begin == Some(cursor) && cursor.position <= newest
                };
                if !goes_on {
                    return Ok(None);
                }
                cursor
            }
        };
        let limit = self.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let events = rows.into_iter().map(StoredEvent::try_from).collect::<Result<Vec<_>, _>>();
        let events = events.map_err(StoreError::failed)?;
        let next = events.last().map_or(next, StoredEvent::cursor);
        Ok(Some(EventPage { events, next, has_more }))
    }
}

impl StoredEvent {
    /// The place right after it.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let Self { position, event, .. } = self;
        Cursor { position: *position, id: event.id, occurred: event.occurred }
    }
}
