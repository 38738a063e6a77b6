//! What every text of the contract has in common.

/// Refuses U+0000, which Postgres cannot store: the contract's pattern `^[^\u0000]*$`.
///
/// The signature is the one that `garde(custom(...))` calls.
pub(super) fn without_nul<C>(text: &impl Text, _context: &C) -> garde::Result {
    if text.has_nul() { Err(garde::Error::new("must not contain U+0000")) } else { Ok(()) }
}

/// A text that may be absent.
pub(super) trait Text {
    fn has_nul(&self) -> bool;
}

impl Text for String {
    fn has_nul(&self) -> bool {
        self.as_bytes().contains(&0)
    }
}

impl Text for Option<String> {
    fn has_nul(&self) -> bool {
        self.as_ref().is_some_and(Text::has_nul)
    }
}
