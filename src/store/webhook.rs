//! Endpoints of webhooks, as they are kept.

use diesel::{Insertable, Queryable, Selectable};

use super::{
    feed::{Cursor, event_type_number},
    schema::{held_customers, webhook_secrets, webhooks},
    version::Version,
};
use crate::{
    account::Account,
    model::{CustomerId, EventType},
};

/// How long an endpoint is somebody's, from each renewal on.
pub const LEASE_SECONDS: u32 = 15;

/// Which types of events an endpoint is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTypes(i64);

impl EventTypes {
    /// All types, and those that come later.
    pub const ALL: Self = Self(i64::MAX);

    /// Whether events of this type are sent.
    #[must_use]
    pub const fn contains(self, event_type: EventType) -> bool {
        self.0 & (1 << event_type_number(event_type)) != 0
    }

    /// The types, unless they are all.
    #[must_use]
    pub fn chosen(self) -> Option<Vec<EventType>> {
        (self != Self::ALL).then(|| EventType::ALL.into_iter().filter(|of| self.contains(*of)).collect())
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<I: IntoIterator<Item = EventType>>(types: I) -> Self {
        Self(types.into_iter().fold(0, |bits, event_type| bits | 1 << event_type_number(event_type)))
    }
}

/// Whether an endpoint is sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// It is.
    Active,
    /// An operator paused it.
    PausedByOperator,
    /// It answered 410.
    PausedByReceiver,
    /// Nothing succeeded for five days.
    PausedByFailures,
    /// Events that it was not sent are not kept any more.
    Gone,
}

impl WebhookState {
    /// Every state.
    const ALL: [Self; 5] =
        [Self::Active, Self::PausedByOperator, Self::PausedByReceiver, Self::PausedByFailures, Self::Gone];

    /// Whether somebody should look: it gets no events, and no operator wanted that.
    #[must_use]
    pub const fn is_stopped_by_failure(self) -> bool {
        matches!(self, Self::PausedByReceiver | Self::PausedByFailures | Self::Gone)
    }

    /// As it is kept and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PausedByOperator => "paused: operator",
            Self::PausedByReceiver => "paused: 410",
            Self::PausedByFailures => "paused: five days",
            Self::Gone => "gone",
        }
    }
}

/// How far an endpoint is. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// All events up to here are acknowledged, left out, or of customers that are held back.
    pub cursor: Cursor,
    /// How many tries failed since the last one that succeeded.
    pub failures: i64,
    /// When the first of them did.
    pub failing_since: Option<i64>,
    /// Nothing is sent before.
    pub held_until: i64,
    /// What the last failure was.
    pub last_failure: Option<String>,
}

impl Progress {
    /// That of an endpoint which begins here.
    pub fn starting_at(cursor: Cursor) -> Self {
        Self { cursor, failures: 0, failing_since: None, held_until: 0, last_failure: None }
    }
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What names it: 32 hexadecimal digits.
    pub id: String,
    /// Whose events it is sent.
    pub account: Account,
    /// Where.
    pub url: String,
    /// Which.
    pub types: EventTypes,
    /// Whether it is sent any.
    pub state: WebhookState,
    /// How far it is.
    pub progress: Progress,
    /// Raised whenever somebody takes it over or starts it anew.
    pub epoch: i64,
    /// Who sends, or did so last.
    pub holder: Option<String>,
    /// How long it is still the holder's, in seconds, by the database's clock.
    pub lease_seconds: u32,
}

impl Webhook {
    /// A new endpoint, which is sent these events from here on. Nobody sends to it yet.
    pub fn new(id: String, account: Account, url: String, types: EventTypes, cursor: Cursor) -> Self {
        let (state, progress) = (WebhookState::Active, Progress::starting_at(cursor));
        Self { id, account, url, types, state, progress, epoch: 0, holder: None, lease_seconds: 0 }
    }
}

/// A customer whose events an endpoint does not get, because one failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCustomer {
    /// The customer.
    pub customer_id: CustomerId,
    /// From this position on, none of its events is acknowledged.
    pub position: i64,
    /// When the first of these happened, in microseconds since the Unix epoch.
    pub occurred: i64,
    /// How often that failed.
    pub tries: i64,
    /// When it is tried again, in microseconds since the Unix epoch.
    pub due: i64,
}

/// What became of an endpoint since it was written down the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookChanges {
    /// How far it is now.
    pub progress: Progress,
    /// Its state, if that is another one now.
    pub state: Option<WebhookState>,
    /// Customers that are held back now, or differently.
    pub held: Vec<HeldCustomer>,
    /// Customers that are not held back any more.
    pub freed: Vec<CustomerId>,
}

/// What signs the requests to an endpoint, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_secrets)]
pub struct WebhookSecret {
    /// The endpoint.
    pub webhook_id: String,
    /// What names the secret.
    pub secret_id: String,
    /// When it was made, in microseconds since the Unix epoch.
    pub created_at: i64,
    /// When it does not sign any more, in microseconds since the Unix epoch.
    pub expires_at: Option<i64>,
    /// The seal key that opens it.
    pub sealed_by: String,
    /// The sealed bytes.
    pub secret: Vec<u8>,
}

/// A row of `webhooks`, without the end of its lease.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhooks)]
pub(super) struct WebhookRow {
    webhook_id: String,
    account: String,
    url: String,
    types: i64,
    created_at: i64,
    state: String,
    position: i64,
    position_id: Vec<u8>,
    position_at: i64,
    failures: i64,
    failing_since: Option<i64>,
    held_until: i64,
    last_failure: Option<String>,
    epoch: i64,
    holder: Option<String>,
}

impl WebhookRow {
    pub(super) fn new(webhook: &Webhook, created_at: i64) -> Self {
        let Webhook { id, account, url, types, state, progress, epoch, holder, lease_seconds: _ } = webhook;
        let Progress { cursor, failures, failing_since, held_until, last_failure } = progress;
        Self {
            webhook_id: id.clone(),
            account: account.to_string(),
            url: url.clone(),
            types: types.0,
            created_at,
            state: state.as_str().to_owned(),
            position: cursor.position,
            position_id: cursor.id.as_bytes().to_vec(),
            position_at: cursor.occurred,
            failures: *failures,
            failing_since: *failing_since,
            held_until: *held_until,
            last_failure: last_failure.clone(),
            epoch: *epoch,
            holder: holder.clone(),
        }
    }

    /// The endpoint, with so much left of its lease; `None` if the row is damaged.
    pub(super) fn webhook(self, lease_seconds: i64) -> Option<Webhook> {
        let cursor = Cursor {
            position: self.position,
            id: Version::from_bytes(&self.position_id)?,
            occurred: self.position_at,
        };
        Some(Webhook {
            id: self.webhook_id,
            account: self.account.parse().ok()?,
            url: self.url,
            types: EventTypes(self.types),
            state: WebhookState::ALL.into_iter().find(|state| state.as_str() == self.state)?,
            progress: Progress {
                cursor,
                failures: self.failures,
                failing_since: self.failing_since,
                held_until: self.held_until,
                last_failure: self.last_failure,
            },
            epoch: self.epoch,
            holder: self.holder,
            // One that ends later was made before the clock was set back.
            lease_seconds: u32::try_from(lease_seconds)
                .ok()
                .filter(|left| *left <= LEASE_SECONDS)
                .unwrap_or(0),
        })
    }
}

/// A row of `held_customers`.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = held_customers)]
pub(super) struct HeldRow {
    pub webhook_id: String,
    pub customer_id: String,
    pub position: i64,
    pub occurred_at: i64,
    pub tries: i64,
    pub due_at: i64,
}

impl HeldRow {
    pub(super) fn new(webhook_id: &str, held: HeldCustomer) -> Self {
        let HeldCustomer { customer_id, position, occurred, tries, due } = held;
        Self {
            webhook_id: webhook_id.to_owned(),
            customer_id: customer_id.into_string(),
            position,
            occurred_at: occurred,
            tries,
            due_at: due,
        }
    }

    /// The customer; `None` if its id breaks the contract.
    pub(super) fn held(self) -> Option<HeldCustomer> {
        let Self { webhook_id: _, customer_id, position, occurred_at, tries, due_at } = self;
        let customer_id = customer_id.try_into().ok()?;
        Some(HeldCustomer { customer_id, position, occurred: occurred_at, tries, due: due_at })
    }
}
