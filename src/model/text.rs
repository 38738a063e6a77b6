//! What all texts of the contract have in common.

/// Refuses U+0000, which Postgres cannot store: the contract's pattern `^[^\u0000]*$`.
///
/// The signature is the one that `garde(custom(...))` calls.
pub(super) fn without_nul<C>(text: &str, _context: &C) -> garde::Result {
    if text.as_bytes().contains(&0) { Err(garde::Error::new("must not contain U+0000")) } else { Ok(()) }
}
