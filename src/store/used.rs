//! Signatures that carried out a write: what both engines agree on.

use super::{
    types::{DeleteOutcome, PutOutcome},
    version::Version,
};
use crate::{clock, telemetry::WriteOutcome};

/// How long a used signature is kept after it expired: a minute, by which the clocks of replicas may differ, and the
/// longest time that a write waits after its signature was verified.
const KEPT_SECONDS: i64 = 60 + 15;

/// A used signature that expired before this, in Unix seconds, may be forgotten: no replica accepts it any more.
pub(super) fn expired_before() -> i64 {
    clock::now().timestamp() - KEPT_SECONDS
}

/// The first byte of an outcome, by its kind. The version comes next if there is one.
const CREATED: u8 = b'C';
const UPDATED: u8 = b'U';
const CONDITION_FAILED: u8 = b'F';
const DELETED: u8 = b'D';
const NOT_FOUND: u8 = b'N';

/// The error for bytes that are not the outcome of such a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the outcome of a used signature is damaged")]
pub(super) struct DamagedOutcome;

/// An outcome as bytes, so that the first answer can be given again.
pub(super) trait Outcome: Copy {
    fn to_bytes(self) -> Vec<u8>;

    fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedOutcome>;

    /// As it is counted.
    fn kind(self) -> WriteOutcome;
}

impl Outcome for PutOutcome {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Created(version) => [&[CREATED], version.as_bytes()].concat(),
            Self::Updated(version) => [&[UPDATED], version.as_bytes()].concat(),
            Self::ConditionFailed => vec![CONDITION_FAILED],
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedOutcome> {
        let version = |bytes| Version::from_bytes(bytes).ok_or(DamagedOutcome);
        match bytes {
            [CREATED, rest @ ..] => version(rest).map(Self::Created),
            [UPDATED, rest @ ..] => version(rest).map(Self::Updated),
            [CONDITION_FAILED] => Ok(Self::ConditionFailed),
            _ => Err(DamagedOutcome),
        }
    }

    fn kind(self) -> WriteOutcome {
        match self {
            Self::Created(_) => WriteOutcome::Created,
            Self::Updated(_) => WriteOutcome::Updated,
            Self::ConditionFailed => WriteOutcome::ConditionFailed,
        }
    }
}

impl Outcome for DeleteOutcome {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Deleted => vec![DELETED],
            Self::NotFound => vec![NOT_FOUND],
            Self::ConditionFailed => vec![CONDITION_FAILED],
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedOutcome> {
        match bytes {
            [DELETED] => Ok(Self::Deleted),
            [NOT_FOUND] => Ok(Self::NotFound),
            [CONDITION_FAILED] => Ok(Self::ConditionFailed),
            _ => Err(DamagedOutcome),
        }
    }

    fn kind(self) -> WriteOutcome {
        match self {
            Self::Deleted => WriteOutcome::Deleted,
            Self::NotFound => WriteOutcome::NotFound,
            Self::ConditionFailed => WriteOutcome::ConditionFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_read_back_and_nothing_else_is() {
        let version = Version::new();
        for put in [PutOutcome::Created(version), PutOutcome::Updated(version), PutOutcome::ConditionFailed] {
            assert_eq!(PutOutcome::from_bytes(&put.to_bytes()), Ok(put));
        }
        for delete in [DeleteOutcome::Deleted, DeleteOutcome::NotFound, DeleteOutcome::ConditionFailed] {
            assert_eq!(DeleteOutcome::from_bytes(&delete.to_bytes()), Ok(delete));
        }
        for damaged in [&b""[..], b"C", b"Cshort", b"Uwith a byte too many", b"FF", b"c", b"D", b"X"] {
            assert_eq!(PutOutcome::from_bytes(damaged), Err(DamagedOutcome), "{damaged:?}");
        }
        for damaged in [&b""[..], b"DD", b"C", b"n"] {
            assert_eq!(DeleteOutcome::from_bytes(damaged), Err(DamagedOutcome), "{damaged:?}");
        }
    }
}
