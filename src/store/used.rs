//! Signatures that carried out a write, as they are kept: what both engines agree on.

use super::{
    decide::{Current, DamagedOutcome, Outcome},
    exported::UsedSignature,
    row::CurrentRow,
    version::Version,
};
use crate::{clock, signature_id::SignatureId};

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

/// The signatures of rows of `used_signatures` that can be understood, and those that rows of customers show; in one order.
pub(super) fn used_signatures(
    noted: Vec<(i64, Vec<u8>, Vec<u8>)>,
    shown: Vec<CurrentRow>,
) -> Vec<UsedSignature> {
    let noted = noted.into_iter();
    let noted = noted.filter_map(|(expires_at, hash, outcome)| used_signature(expires_at, &hash, &outcome));
    let shown = shown.into_iter().filter_map(|row| Current::from(row).shown());
    let shown = shown.map(|(signature, outcome)| UsedSignature { signature, outcome });
    let mut used: Vec<_> = noted.chain(shown).collect();
    used.sort_unstable_by_key(|UsedSignature { signature, .. }| (signature.expires_at, signature.hash));
    used
}

fn used_signature(expires_at: i64, hash: &[u8], outcome: &[u8]) -> Option<UsedSignature> {
    let signature = SignatureId { expires_at, hash: hash.try_into().ok()? };
    Some(UsedSignature { signature, outcome: Outcome::from_bytes(outcome).ok()? })
}

impl Outcome {
    /// As bytes, so that the first answer can be given again.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Created(version) => [&[CREATED], version.as_bytes()].concat(),
            Self::Updated(version) => [&[UPDATED], version.as_bytes()].concat(),
            Self::ConditionFailed => vec![CONDITION_FAILED],
            Self::Deleted => vec![DELETED],
            Self::NotFound => vec![NOT_FOUND],
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedOutcome> {
        let version = |bytes| Version::from_bytes(bytes).ok_or(DamagedOutcome);
        match bytes {
            [CREATED, rest @ ..] => version(rest).map(Self::Created),
            [UPDATED, rest @ ..] => version(rest).map(Self::Updated),
            [CONDITION_FAILED] => Ok(Self::ConditionFailed),
            [DELETED] => Ok(Self::Deleted),
            [NOT_FOUND] => Ok(Self::NotFound),
            _ => Err(DamagedOutcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_read_back_and_nothing_else_is() {
        let version = Version::new();
        let outcomes = [Outcome::Created(version), Outcome::Updated(version), Outcome::ConditionFailed];
        for outcome in outcomes.into_iter().chain([Outcome::Deleted, Outcome::NotFound]) {
            assert_eq!(Outcome::from_bytes(&outcome.to_bytes()), Ok(outcome));
        }
        for damaged in [&b""[..], b"C", b"Cshort", b"Uwith a byte too many", b"FF", b"c", b"DD", b"n", b"X"] {
            assert_eq!(Outcome::from_bytes(damaged), Err(DamagedOutcome), "{damaged:?}");
        }
    }
}
