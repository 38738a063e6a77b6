//! What a write does. It is decided here and nowhere else, for both engines, for imports and for records that are sealed
//! anew.
//!
//! [`decide`] is a pure function: it is given a customer as it is and what is known of the signature, and says what to tell
//! and what to write. An engine looks both up and applies the decision, in one transaction and under locks.
//!
//! A put does not note its signature anywhere else: its row has the signature's hash as its version. So a new customer costs
//! one row. When the row is replaced or deleted, the signature moves to those that were used.

use super::{
    types::{Condition, DeleteOutcome, PutOutcome, Record},
    version::{NewVersion, Version},
};
use crate::signature_id::SignatureId;

/// A customer as the database has it, without the record. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    /// `None` if it is damaged: no precondition and no signature names it.
    pub version: Option<Version>,
    /// When the customer was created.
    pub created: i64,
    /// When the customer was last changed.
    pub updated: i64,
    /// When the signature that made the version expires, in Unix seconds.
    pub signature_expires_at: Option<i64>,
}

/// What a write changes.
#[derive(Debug, Clone)]
pub enum Change {
    /// Creates or replaces the customer.
    Put {
        /// The customer's fields.
        record: Record,
        /// The version that the customer gets, and the signature that makes it.
        new: NewVersion,
        /// When the write is carried out.
        condition: Condition,
    },
    /// Deletes the customer.
    Delete {
        /// The signature that carries out the write, and must not do so twice.
        signature: Option<SignatureId>,
        /// Which versions may be deleted; `None` means any.
        if_match: Option<Vec<Version>>,
    },
    /// Writes the customer as it was in another database.
    Import {
        /// The customer's fields.
        record: Record,
        /// The version that it had.
        version: Version,
        /// When it was created.
        created: i64,
        /// When it was last changed.
        updated: i64,
        /// Whether a customer that is there in another version is replaced.
        replace: bool,
    },
    /// Writes the same fields in another form.
    Reseal {
        /// The new form.
        record: Record,
        /// The version that the fields belong to.
        version: Version,
    },
}

impl Change {
    /// The signature that carries out the write.
    #[must_use]
    pub fn signature(&self) -> Option<SignatureId> {
        match self {
            Self::Put { new, .. } => new.signature(),
            Self::Delete { signature, .. } => *signature,
            Self::Import { .. } | Self::Reseal { .. } => None,
        }
    }

    /// What it writes; `None` if it deletes.
    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Put { record, .. } | Self::Import { record, .. } | Self::Reseal { record, .. } => {
                Some(record)
            }
            Self::Delete { .. } => None,
        }
    }
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The customer is new, in this version.
    Created(Version),
    /// The customer was there, and has this version now.
    Updated(Version),
    /// The customer is in another state than the write asks for. Nothing was written.
    ConditionFailed,
    /// The customer was deleted.
    Deleted,
    /// There is no customer to delete.
    NotFound,
}

/// An outcome that no such write has: it was changed in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the outcome of a used signature is damaged")]
pub struct DamagedOutcome;

impl TryFrom<Outcome> for PutOutcome {
    type Error = DamagedOutcome;

    fn try_from(outcome: Outcome) -> Result<Self, DamagedOutcome> {
        match outcome {
            Outcome::Created(version) => Ok(Self::Created(version)),
            Outcome::Updated(version) => Ok(Self::Updated(version)),
            Outcome::ConditionFailed => Ok(Self::ConditionFailed),
            Outcome::Deleted | Outcome::NotFound => Err(DamagedOutcome),
        }
    }
}

impl TryFrom<Outcome> for DeleteOutcome {
    type Error = DamagedOutcome;

    fn try_from(outcome: Outcome) -> Result<Self, DamagedOutcome> {
        match outcome {
            Outcome::Deleted => Ok(Self::Deleted),
            Outcome::NotFound => Ok(Self::NotFound),
            Outcome::ConditionFailed => Ok(Self::ConditionFailed),
            Outcome::Created(_) | Outcome::Updated(_) => Err(DamagedOutcome),
        }
    }
}

/// What becomes of the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It stays as it is.
    Nothing,
    /// It is there, like this and with the write's record.
    Write(Current),
    /// It is gone.
    Delete,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What the caller is told.
    pub outcome: Outcome,
    /// Whether an earlier write with the same signature, or with the same version, did it already.
    pub is_repeated: bool,
    /// What becomes of the customer.
    pub effect: Effect,
    /// The signatures to remember beside the customer, each with what its caller was told.
    pub used: Vec<(SignatureId, Outcome)>,
}

impl Decision {
    fn new(outcome: Outcome, effect: Effect) -> Self {
        Self { outcome, is_repeated: false, effect, used: Vec::new() }
    }

    fn repeat(outcome: Outcome) -> Self {
        Self { is_repeated: true, ..Self::new(outcome, Effect::Nothing) }
    }

    /// Remembers what a signature has done, if there is one: no row will show it.
    fn noted(mut self, signature: Option<SignatureId>) -> Self {
        self.used.extend(signature.map(|signature| (signature, self.outcome)));
        self
    }
}

impl Current {
    /// What the caller was told whose write made the version: one that replaces a customer keeps its time of creation.
    fn outcome(&self, version: Version) -> Outcome {
        if self.created == self.updated { Outcome::Created(version) } else { Outcome::Updated(version) }
    }

    /// The signature that the row shows.
    fn shown(&self) -> Option<(SignatureId, Outcome)> {
        let (version, expires_at) = (self.version?, self.signature_expires_at?);
        Some((SignatureId { expires_at, hash: version.into_bytes() }, self.outcome(version)))
    }

    fn meets(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Always | Condition::Present => true,
            Condition::OneOf(versions) => self.has_one_of(versions),
            Condition::Absent | Condition::Never => false,
        }
    }

    fn has_one_of(&self, versions: &[Version]) -> bool {
        self.version.is_some_and(|version| versions.contains(&version))
    }
}

/// Decides what a write does to a customer: `current` is the customer, if there is one, and `used` is what the write's
/// signature has done, if it was used before. `timestamp` is the time of the write, in microseconds since the Unix epoch.
/// Signatures that expired before `forgotten_before`, in Unix seconds, need not be remembered.
#[must_use]
pub fn decide(
    change: &Change,
    timestamp: i64,
    current: Option<&Current>,
    used: Option<Outcome>,
    forgotten_before: i64,
) -> Decision {
    if let Some(first) = used {
        return Decision::repeat(first);
    }
    let mut decision = match change {
        Change::Put { new, condition, .. } => put(*new, condition, timestamp, current),
        Change::Delete { signature, if_match } => delete(*signature, if_match.as_deref(), current),
        Change::Import { version, created, updated, replace, .. } => {
            import(*version, *created, *updated, *replace, current)
        }
        Change::Reseal { version, .. } => reseal(*version, current),
    };
    let shows_on = match decision.effect {
        Effect::Nothing => current.is_some(),
        Effect::Write(next) => current.is_some_and(|current| current.version == next.version),
        Effect::Delete => false,
    };
    if !shows_on {
        let shown = current.and_then(Current::shown);
        decision.used.extend(shown.filter(|(signature, _)| signature.expires_at >= forgotten_before));
    }
    decision
}

fn put(new: NewVersion, condition: &Condition, timestamp: i64, current: Option<&Current>) -> Decision {
    let (version, signature) = (new.version(), new.signature());
    let signature_expires_at = signature.map(|signature| signature.expires_at);
    let next =
        Current { version: Some(version), created: timestamp, updated: timestamp, signature_expires_at };
    match current {
        Some(current) if current.version == Some(version) => Decision::repeat(current.outcome(version)),
        Some(current) if current.meets(condition) => {
            let updated = timestamp.max(current.updated + 1);
            let next = Current { created: current.created, updated, ..next };
            Decision::new(Outcome::Updated(version), Effect::Write(next))
        }
        None if matches!(condition, Condition::Always | Condition::Absent) => {
            Decision::new(Outcome::Created(version), Effect::Write(next))
        }
        _ => Decision::new(Outcome::ConditionFailed, Effect::Nothing).noted(signature),
    }
}

fn delete(
    signature: Option<SignatureId>,
    if_match: Option<&[Version]>,
    current: Option<&Current>,
) -> Decision {
    let decision = match current {
        None => Decision::new(Outcome::NotFound, Effect::Nothing),
        Some(current) if if_match.is_some_and(|versions| !current.has_one_of(versions)) => {
            Decision::new(Outcome::ConditionFailed, Effect::Nothing)
        }
        Some(_) => Decision::new(Outcome::Deleted, Effect::Delete),
    };
    decision.noted(signature)
}

fn import(
    version: Version,
    created: i64,
    updated: i64,
    replace: bool,
    current: Option<&Current>,
) -> Decision {
    let imported = Current { version: Some(version), created, updated, signature_expires_at: None };
    match current {
        Some(current) if current.version == Some(version) => Decision::repeat(Outcome::Updated(version)),
        Some(_) if replace => Decision::new(Outcome::Updated(version), Effect::Write(imported)),
        Some(_) => Decision::new(Outcome::ConditionFailed, Effect::Nothing),
        None => Decision::new(Outcome::Created(version), Effect::Write(imported)),
    }
}

fn reseal(version: Version, current: Option<&Current>) -> Decision {
    match current {
        Some(current) if current.version == Some(version) => {
            Decision::new(Outcome::Updated(version), Effect::Write(*current))
        }
        _ => Decision::new(Outcome::ConditionFailed, Effect::Nothing),
    }
}
