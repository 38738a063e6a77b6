/// One thing that is wrong with a signature, and what to send instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The claim or JOSE header parameter that is wrong; empty for the token as a whole.
    pub claim: &'static str,
    /// What is wrong and what to send. It repeats nothing of the request.
    pub description: String,
}

/// What kind of thing is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It is not a token of a form that is accepted.
    Malformed,
    /// It names a key that is not registered, or no key is active.
    UnknownKey,
    /// It names no key, and several are active.
    AmbiguousKey,
    /// Its key was revoked.
    RevokedKey,
    /// Its key has expired.
    ExpiredKey,
    /// It does not verify with its key.
    BadSignature,
    /// Its claims do not hold for this request.
    BadClaims,
}

/// Why a signature is refused: at least one violation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", descriptions(violations))]
pub struct Refusal {
    violations: Vec<Violation>,
    kind: RefusalKind,
}

impl Refusal {
    /// The token as a whole is wrong.
    pub fn of_token(description: impl Into<String>) -> Self {
        Self::of(RefusalKind::Malformed, "", description)
    }

    pub(super) fn of(kind: RefusalKind, claim: &'static str, description: impl Into<String>) -> Self {
        Self { violations: vec![Violation { claim, description: description.into() }], kind }
    }

    pub(super) fn of_header(parameter: &'static str, description: impl Into<String>) -> Self {
        Self::of(RefusalKind::Malformed, parameter, description)
    }

    pub(super) fn of_unknown_key(description: impl Into<String>) -> Self {
        Self::of(RefusalKind::UnknownKey, "kid", description)
    }

    pub(super) fn of_claims(violations: Vec<Violation>) -> Self {
        Self { violations, kind: RefusalKind::BadClaims }
    }

    /// What kind of thing is wrong.
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// Everything that is wrong.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether the signature might be accepted once the registered keys are read again.
    pub fn key_is_unknown(&self) -> bool {
        self.kind == RefusalKind::UnknownKey
    }
}

fn descriptions(violations: &[Violation]) -> String {
    let descriptions: Vec<_> = violations.iter().map(|violation| violation.description.as_str()).collect();
    descriptions.join("; ")
}
