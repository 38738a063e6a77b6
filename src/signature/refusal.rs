/// One thing that is wrong with a signature, and what to send instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The claim or JOSE header parameter that is wrong; empty for the token as a whole.
    pub claim: &'static str,
    /// What is wrong and what to send. It repeats nothing of the request.
    pub description: String,
}

/// Why a signature is refused: at least one violation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", descriptions(violations))]
pub struct Refusal {
    violations: Vec<Violation>,
    key_is_unknown: bool,
}

impl Refusal {
    /// The token as a whole is wrong.
    pub fn of_token(description: impl Into<String>) -> Self {
        Self::of("", description)
    }

    pub(super) fn of(claim: &'static str, description: impl Into<String>) -> Self {
        Self::of_claims(vec![Violation { claim, description: description.into() }])
    }

    pub(super) fn of_unknown_key(description: impl Into<String>) -> Self {
        Self { key_is_unknown: true, ..Self::of("kid", description) }
    }

    pub(super) fn of_claims(violations: Vec<Violation>) -> Self {
        Self { violations, key_is_unknown: false }
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether the signature might be accepted once the registered keys are read again.
    #[must_use]
    pub fn key_is_unknown(&self) -> bool {
        self.key_is_unknown
    }
}

fn descriptions(violations: &[Violation]) -> String {
    let descriptions: Vec<_> = violations.iter().map(|violation| violation.description.as_str()).collect();
    descriptions.join("; ")
}
