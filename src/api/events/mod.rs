//! The operations on events: one file each, their tokens, and the list of them.

mod feed_token;
mod list_customer_events;
mod list_events;
mod operations;
mod page;
mod start;

pub(super) use operations::operations;
