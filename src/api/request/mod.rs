//! From bytes to a request whose sender is proven and which the contract accepts.

mod body;
mod connection;
mod entity_tag;
pub(super) mod input;
mod media_type;
mod page;
mod precondition;
pub(super) mod reading;
mod signed;
mod undocumented;
mod violation;

#[cfg(test)]
pub(super) use body::BODY_TIMEOUT;
pub(super) use entity_tag::etag;
pub(super) use input::{Body, Input, OptionalParameter, PathParameter, input};
pub(super) use page::{PAGE_TOKEN, PageStart, page_token};
pub(super) use precondition::{IfMatch, IfModifiedSince, IfNoneMatch, OnlyIfAbsent};
pub(super) use reading::{Location, Reading};
pub(super) use signed::{Signed, operation};
