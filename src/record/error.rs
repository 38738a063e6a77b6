use std::path::PathBuf;

use super::keys::InvalidSealKeys;
use crate::store::StoreError;

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DamagedRecord {
    /// The bytes are not a JSON object.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// The key that sealed the record is not among the seal keys.
    #[error("the record is sealed by a key that is not available")]
    UnknownKey,
    /// The bytes are not what was sealed for this customer in this version.
    #[error("the record is not what was sealed for this customer")]
    Forged,
    /// The record is plain, where only sealed records are accepted.
    #[error("the record is not sealed")]
    NotSealed,
    /// The library could not write JSON, or could not seal.
    #[error("the record cannot be written")]
    Unwritable,
    /// The key may have been replaced meanwhile. It may be written later.
    #[error("for 40 seconds the database was not told by which key this process seals")]
    Unnoted,
}

/// Why a database cannot be served with these seal keys.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the seal key file {} {error}", file.display())]
    File { file: PathBuf, error: InvalidSealKeys },
    /// The database knows a key that is not in the file, or there is no file.
    #[error("the database has records that are sealed by the key {0}: add it to the file of --seal-keys")]
    Missing(String),
    #[error("the seal key {0} is not the key that this database knows under this id")]
    Wrong(String),
    /// All records were sealed by another key, while this process could not say that it uses this one.
    #[error("the seal key {0} was replaced meanwhile: let the first key of --seal-keys be the new one")]
    Replaced(String),
    #[error("the cryptographic library cannot seal")]
    Library,
    #[error(transparent)]
    Store(#[from] StoreError),
}
