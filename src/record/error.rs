/// Why a record cannot be read.
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
}
