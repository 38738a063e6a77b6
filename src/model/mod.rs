//! The contract's `components/schemas` as Rust types, named after the schemas.
//!
//! Invariants: a [`CustomerInput`], [`CustomerId`], [`Date`] or [`CountryCode`] that exists is valid, because its
//! fields are private and every constructor checks them. Nothing here knows HTTP, signatures or the store.

mod address;
mod customer;
mod customer_input;
mod error;
mod events;
mod integer;
mod page;
mod strict;
mod text;
mod time;

pub use address::{CountryCode, InvalidCountryCode, StateRule, StreetAddress};
pub use customer::{Customer, CustomerId};
pub use customer_input::{CustomerIdentity, CustomerInput, FullName, IdType};
pub use error::{
    Error, ErrorType, FIELD_LENGTH_MAX, Reason, RequestExtension, RequestExtensionItem, VIOLATIONS_MAX,
};
pub use events::{Event, EventStart, EventType, EventWait, Events, InvalidEventStart, InvalidEventType};
pub use integer::{Integer, InvalidInteger};
pub use page::{Customers, InvalidSortDirection, PageSize, SortDirection};
pub(crate) use strict::{object, present};
pub use text::{AnyText, InvalidText, Text};
pub use time::{Date, InvalidDate, InvalidTimestamp, Timestamp};
