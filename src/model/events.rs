use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};
use utoipa::ToSchema;

use super::{customer::CustomerId, integer::Integer, time::Timestamp};

/// What happened to a customer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, EnumString, IntoStaticStr,
)]
#[strum(parse_err_ty = InvalidEventType, parse_err_fn = invalid_event_type)]
pub enum EventType {
    /// The customer is new.
    CustomerCreated,
    /// The customer was replaced.
    CustomerUpdated,
    /// The customer is gone.
    CustomerDeleted,
}

impl EventType {
    /// Every type, in the order of the contract.
    pub const ALL: [Self; 3] = [Self::CustomerCreated, Self::CustomerUpdated, Self::CustomerDeleted];
}

/// Why a text is not an [`EventType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of CustomerCreated, CustomerUpdated, CustomerDeleted")]
pub struct InvalidEventType;

fn invalid_event_type(_: &str) -> InvalidEventType {
    InvalidEventType
}

/// A change of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Event {
    /// Identifies the event.
    #[serde(rename = "EventID")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub event_id: String,
    /// What happened.
    pub event_type: EventType,
    /// When it happened.
    #[schema(
        value_type = String,
        format = "date-time",
        pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
    )]
    pub occurred: Timestamp,
    /// The identifier of the customer.
    #[serde(rename = "CustomerID")]
    pub customer_id: CustomerId,
    /// The version that the customer has since then; `None` after a delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9a-f]{32}$")]
    pub version: Option<String>,
    /// The version that the customer had before; `None` if it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9a-f]{32}$")]
    pub previous: Option<String>,
    /// The key that signed the request, if one did.
    #[serde(rename = "KeyID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, pattern = r"^[^\u0000]*$")]
    pub key_id: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Events {
    /// The events, in their order.
    #[schema(max_items = 100)]
    pub items: Vec<Event>,
    /// Send it to go on after this page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 2048, pattern = r"^[^\u0000]*$")]
    pub page_token: Option<String>,
}

/// Where somebody begins to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, EnumString)]
pub enum EventStart {
    /// Before the oldest event that is kept.
    #[default]
    Oldest,
    /// After the newest event.
    Newest,
}

/// For how many seconds to wait for an event.
pub type EventWait = Integer<0, 10, 0>;
