use std::str::FromStr;

use derive_more::Display;
use uuid::Uuid;

use crate::{
    random,
    signature_id::{Proof, SignatureId},
};

/// Names one state of one customer. It never comes back, not even after a delete and a new create. Its text is 32 lowercase
/// hexadecimal digits.
#[derive(Debug, Display, Clone, Copy, PartialEq, Eq, Hash)]
#[display("{}", _0.as_simple())]
pub struct Version(Uuid);

impl Version {
    /// The version of nothing: no customer has it.
    pub const ZERO: Self = Self(Uuid::nil());

    /// A random version, which no customer has ever had.
    pub fn new() -> Self {
        Self(random::uuid())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    /// The bytes of the version.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The bytes of the version, by themselves.
    pub const fn into_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }
}

impl From<[u8; 16]> for Version {
    fn from(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::new()
    }
}

/// The version that a put makes. What a delete makes is no version of a customer, but its event has this name, too.
///
/// The signature of a request carries it out once, so it also names the state that it makes: a request that is sent again
/// is known by the version of its customer, and nothing else need be written down. Without a signature it is random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    version: Version,
    proof: Option<Proof>,
}

impl NewVersion {
    /// The version that a request with this proof makes.
    pub fn of(proof: Option<Proof>) -> Self {
        let version =
            proof.as_ref().map_or_else(Version::new, |proof| Version(Uuid::from_bytes(proof.signature.hash)));
        Self { version, proof }
    }

    /// The version itself.
    pub const fn version(&self) -> Version {
        self.version
    }

    pub(super) fn signature(&self) -> Option<SignatureId> {
        self.proof.as_ref().map(|proof| proof.signature)
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.proof.as_ref().map(|proof| proof.key_id.as_str())
    }
}

/// The error for a text that is not a [`Version`] of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a version")]
pub struct InvalidVersion;

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let version = Uuid::parse_str(text).map(Self).map_err(|_| InvalidVersion)?;
        // Entity tags are compared octet by octet, so a version has one spelling.
        if version != Self::ZERO && version.to_string() == text { Ok(version) } else { Err(InvalidVersion) }
    }
}
