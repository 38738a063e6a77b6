//! What a key may do.

use strum::{Display, EnumString, IntoStaticStr};

/// What a key may do. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = InvalidScope, parse_err_fn = invalid)]
pub enum Scope {
    /// GET and HEAD.
    Read,
    /// Everything.
    #[default]
    Write,
}

/// Why a text is not a [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be read or write")]
pub struct InvalidScope;

fn invalid(_: &str) -> InvalidScope {
    InvalidScope
}
