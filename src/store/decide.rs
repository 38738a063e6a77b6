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
use crate::{model::EventType, signature_id::SignatureId};

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
        /// The name of the delete, and the signature that carries it out and must not do so twice.
        new: NewVersion,
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
    pub fn signature(&self) -> Option<SignatureId> {
        match self {
            Self::Put { new, .. } | Self::Delete { new, .. } => new.signature(),
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

/// What those who follow are told of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The version that the customer has since then. After a delete, no customer has it.
    pub id: Version,
    /// What happened.
    pub event_type: EventType,
    /// When it happened, in microseconds since the Unix epoch.
    pub occurred: i64,
    /// The version that the customer had before; `None` if it is new, or if that version is damaged.
    pub previous: Option<Version>,
    /// The key of the request, if it was signed.
    pub key_id: Option<String>,
}

impl Event {
    /// The version that the customer has since then; `None` after a delete.
    pub fn version(&self) -> Option<Version> {
        (self.event_type != EventType::CustomerDeleted).then_some(self.id)
    }
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
    /// What those who follow are told: exactly if the customer changes.
    pub event: Option<Event>,
}

impl Decision {
    fn new(outcome: Outcome, effect: Effect) -> Self {
        Self { outcome, is_repeated: false, effect, used: Vec::new(), event: None }
    }

    fn repeat(outcome: Outcome) -> Self {
        Self { is_repeated: true, ..Self::new(outcome, Effect::Nothing) }
    }

    /// Remembers what a signature has done, if there is one: no row will show it.
    fn noted(mut self, signature: Option<SignatureId>) -> Self {
        self.used.extend(signature.map(|signature| (signature, self.outcome)));
        self
    }

    /// Tells of a change that a request has made.
    fn told(mut self, new: &NewVersion, occurred: i64, current: Option<&Current>) -> Self {
        let event_type = match (self.effect, current) {
            (Effect::Nothing, _) => return self,
            (Effect::Write(_), None) => EventType::CustomerCreated,
            (Effect::Write(_), Some(_)) => EventType::CustomerUpdated,
            (Effect::Delete, _) => EventType::CustomerDeleted,
        };
        let (id, key_id) = (new.version(), new.key_id().map(str::to_owned));
        let previous = current.and_then(|current| current.version);
        self.event = Some(Event { id, event_type, occurred, previous, key_id });
        self
    }
}

impl Current {
    /// What the caller was told whose write made the version: one that replaces a customer keeps its time of creation.
    fn outcome(&self, version: Version) -> Outcome {
        if self.created == self.updated { Outcome::Created(version) } else { Outcome::Updated(version) }
    }

    /// The signature that the row shows.
    pub(super) fn shown(&self) -> Option<(SignatureId, Outcome)> {
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
/// Signatures that expired before `forgotten_before`, in Unix seconds, need not be remembered. `last` is the version in the
/// customer's last event, if it has one and that is no delete; only imports ask for it.
pub fn decide(
    change: &Change,
    timestamp: i64,
    current: Option<&Current>,
    used: Option<Outcome>,
    forgotten_before: i64,
    last: Option<Version>,
) -> Decision {
    if let Some(first) = used {
        return Decision::repeat(first);
    }
    let mut decision = match change {
        Change::Put { new, condition, .. } => put(new, condition, timestamp, current),
        Change::Delete { new, if_match } => delete(new, if_match.as_deref(), timestamp, current),
        Change::Import { version, created, updated, replace, .. } => {
            let decision = import(*version, *created, *updated, *replace, current);
            told_of_import(decision, *version, timestamp, current, last)
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

fn put(new: &NewVersion, condition: &Condition, timestamp: i64, current: Option<&Current>) -> Decision {
    let (version, signature) = (new.version(), new.signature());
    let signature_expires_at = signature.map(|signature| signature.expires_at);
    let next =
        Current { version: Some(version), created: timestamp, updated: timestamp, signature_expires_at };
    match current {
        Some(current) if current.version == Some(version) => Decision::repeat(current.outcome(version)),
        Some(current) if current.meets(condition) => {
            let updated = timestamp.max(current.updated + 1);
            let next = Current { created: current.created, updated, ..next };
            Decision::new(Outcome::Updated(version), Effect::Write(next)).told(new, updated, Some(current))
        }
        None if matches!(condition, Condition::Always | Condition::Absent) => {
            Decision::new(Outcome::Created(version), Effect::Write(next)).told(new, timestamp, None)
        }
        _ => Decision::new(Outcome::ConditionFailed, Effect::Nothing).noted(signature),
    }
}

fn delete(
    new: &NewVersion,
    if_match: Option<&[Version]>,
    timestamp: i64,
    current: Option<&Current>,
) -> Decision {
    let decision = match current {
        None => Decision::new(Outcome::NotFound, Effect::Nothing),
        Some(current) if if_match.is_some_and(|versions| !current.has_one_of(versions)) => {
            Decision::new(Outcome::ConditionFailed, Effect::Nothing)
        }
        Some(_) => Decision::new(Outcome::Deleted, Effect::Delete),
    };
    decision.noted(new.signature()).told(new, timestamp, current)
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

/// The events of the other database have come before the customer. If they do not say how it came to its version, one is
/// made up, so that each customer that is there has one.
fn told_of_import(
    mut decision: Decision,
    id: Version,
    occurred: i64,
    current: Option<&Current>,
    last: Option<Version>,
) -> Decision {
    if decision.effect != Effect::Nothing && last != Some(id) {
        let previous = current.map_or(last, |current| current.version);
        let is_known = current.is_some() || previous.is_some();
        let event_type = if is_known { EventType::CustomerUpdated } else { EventType::CustomerCreated };
        decision.event = Some(Event { id, event_type, occurred, previous, key_id: None });
    }
    decision
}

fn reseal(version: Version, current: Option<&Current>) -> Decision {
    match current {
        Some(current) if current.version == Some(version) => {
            Decision::new(Outcome::Updated(version), Effect::Write(*current))
        }
        _ => Decision::new(Outcome::ConditionFailed, Effect::Nothing),
    }
}
