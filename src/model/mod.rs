//! The contract's `components/schemas` as Rust types: one file each, named after the schema.
//!
//! Invariants: a [`CustomerInput`], [`CustomerId`], [`Date`] or [`CountryCode`] that exists is valid, because its
//! fields are private and every constructor checks them. Nothing here knows HTTP, signatures or the store.

mod country_code;
mod customer;
mod customer_id;
mod customer_identity;
mod customer_input;
mod customers;
mod date;
mod error;
mod error_type;
mod events;
mod full_name;
mod id_type;
mod kept;
mod page_size;
mod reason;
mod request_extension;
mod request_extension_item;
mod sort_direction;
mod street_address;
mod strict;
mod subdivision;
mod text;
mod timestamp;

pub use country_code::{CountryCode, InvalidCountryCode};
pub use customer::Customer;
pub use customer_id::{CustomerId, InvalidCustomerId};
pub use customer_identity::CustomerIdentity;
pub use customer_input::CustomerInput;
pub use customers::Customers;
pub use date::{Date, InvalidDate};
pub use error::Error;
pub use error_type::ErrorType;
pub use events::{
    Event, EventStart, EventType, EventWait, Events, InvalidEventStart, InvalidEventWait, WAIT_SECONDS_MAX,
};
pub use full_name::FullName;
pub use id_type::IdType;
pub use page_size::{InvalidPageSize, PAGE_ITEMS_MAX, PageSize};
pub use reason::Reason;
pub use request_extension::{RequestExtension, VIOLATIONS_MAX};
pub use request_extension_item::{FIELD_LENGTH_MAX, RequestExtensionItem};
pub use sort_direction::{InvalidSortDirection, SortDirection};
pub use street_address::{StateRule, StreetAddress};
pub(crate) use strict::object;
pub use timestamp::{InvalidTimestamp, Timestamp};
