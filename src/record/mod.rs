//! A customer's fields as the bytes that the store keeps: canonical JSON, as serde writes it, plain or sealed.
//!
//! An answer is spliced from the id, the timestamp of creation and these bytes. They are not parsed, because they were
//! valid when they were written. So an older version of the service also serves what a newer one wrote.

mod check;
mod error;
mod follow;
mod json;
mod keys;
mod note;
mod records;
mod seal;
mod sealing;

pub(crate) use self::error::SealError;
pub use self::{
    error::DamagedRecord,
    keys::{SealKeys, generate_key_line, is_key_id},
    records::{Records, Resealed},
};
