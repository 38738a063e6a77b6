//! Customers and keys in the database: every query that the service runs, and nothing else.
//!
//! One interface, one folder for each engine. Invariants: nothing here knows HTTP ([`StoreError`] says what happened,
//! `api` decides the status), nothing here knows a field of a customer ([`Record`] is bytes), every query names the
//! account, and an outcome is told after its commit. Records of another [`Kind`] are kept in the same table.

mod catalog;
mod collection;
mod copy;
mod creation;
mod customers;
mod decide;
mod draft;
mod engine;
mod error;
mod exported;
mod feed;
mod follow;
mod followers;
mod group;
mod in_progress;
mod moved;
mod page;
mod postgres;
mod query;
mod row;
mod schema;
mod sqlite;
mod types;
mod url;
mod used;
mod version;
mod webhook;
mod webhooks;
mod write;

pub use self::{
    collection::{Collection, Kind},
    decide::{Change, Current, DamagedOutcome, Decision, Effect, Event, Outcome, decide},
    engine::Store,
    error::StoreError,
    exported::{Export, Exported, UsedSignature},
    feed::{Cursor, EventPage, FeedHead, FeedStart, RawEvent, StoredEvent},
    group::GROUP_WRITES_MAX,
    moved::{Moved, MovedEvent, MovedOutcome},
    page::PAGE_BYTES_MAX,
    sqlite::Backup,
    types::{
        Access, Condition, CustomerPage, DeleteOutcome, ImportOutcome, ImportedCustomer, LookUp, Position,
        PutOutcome, RawCustomer, Record, Reseal, SealKeyRow, SigningKey, Snapshot, StoredCustomer,
        UnusableKey, shown_key,
    },
    url::{DatabaseUrl, InvalidDatabaseUrl},
    version::{InvalidVersion, NewVersion, Version},
    webhook::{
        EventTypes, HeldCustomer, LEASE_SECONDS, Progress, Webhook, WebhookChanges, WebhookSecret,
        WebhookState,
    },
};
