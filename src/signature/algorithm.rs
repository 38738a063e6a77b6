use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
};
use strum::{Display, EnumString, IntoStaticStr};

/// The signature algorithms of RFC 7518 that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE", parse_err_ty = InvalidAlgorithm, parse_err_fn = invalid)]
pub enum Algorithm {
    /// ECDSA over P-384 with SHA-384.
    #[default]
    Es384,
    /// ECDSA over P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Es384, Self::Es256];

    /// The first one for which something can be made, and what is made.
    pub(super) fn first<T>(make: impl Fn(Self) -> Option<T>) -> Option<(Self, T)> {
        Self::ALL.into_iter().find_map(|algorithm| Some((algorithm, make(algorithm)?)))
    }

    /// The name in a JOSE header.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// How long a signature is, in bytes (RFC 7518, 3.4).
    pub(super) const fn signature_bytes(self) -> usize {
        match self {
            Self::Es384 => 96,
            Self::Es256 => 64,
        }
    }

    pub(super) const fn jose(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }

    pub(super) const fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        }
    }

    pub(super) const fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
        }
    }
}

/// Why a text is not an [`Algorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be ES384 or ES256")]
pub struct InvalidAlgorithm;

fn invalid(_: &str) -> InvalidAlgorithm {
    InvalidAlgorithm
}
