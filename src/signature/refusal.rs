use std::fmt;

/// One thing that is wrong with a signature, and what to send instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The claim or JOSE header parameter at fault; empty for the token as a whole.
    pub claim: &'static str,
    /// What is wrong and what to send. Repeats nothing of the request.
    pub description: String,
}

/// Why a signature is refused: at least one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    faults: Vec<Fault>,
    key_is_unknown: bool,
}

impl Refusal {
    /// The token as a whole is wrong, in these words.
    pub fn of_token(description: impl Into<String>) -> Self {
        Self::of("", description)
    }

    pub(super) fn of(claim: &'static str, description: impl Into<String>) -> Self {
        Self { faults: vec![Fault { claim, description: description.into() }], key_is_unknown: false }
    }

    pub(super) fn of_unknown_key(description: impl Into<String>) -> Self {
        Self { key_is_unknown: true, ..Self::of("kid", description) }
    }

    pub(super) fn of_claims(faults: Vec<Fault>) -> Self {
        Self { faults, key_is_unknown: false }
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether a key that was registered a moment ago could change the verdict.
    #[must_use]
    pub fn key_is_unknown(&self) -> bool {
        self.key_is_unknown
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            formatter.write_str(&fault.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
