//! From bytes to a request whose sender is proven and which the contract accepts.

mod body;
mod connection;
mod entity_tag;
mod media_type;
mod parts;
mod signed;
mod undocumented;

#[cfg(test)]
pub(super) use body::BODY_TIMEOUT;
pub(super) use entity_tag::{Asterisk, EntityTags, etag};
pub(super) use parts::Parts;
pub(super) use signed::{FromParts, Signed, operation};
