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
pub(crate) use customer_input::{CustomerIdentity, IdType};
pub use customer_input::{CustomerInput, FullName};
pub use error::{Error, FIELD_LENGTH_MAX, Reason, RequestExtensionItem, VIOLATIONS_MAX};
pub(crate) use error::{ErrorType, RequestExtension};
pub use events::{Event, EventStart, EventType, EventWait, Events};
pub use integer::{Integer, InvalidInteger};
pub use page::{Customers, PageSize, SortDirection};
pub(crate) use strict::{JsonText, object, present};
pub use text::{AnyText, InvalidText, Text};
pub use time::{Date, InvalidDate, InvalidTimestamp, Timestamp};
