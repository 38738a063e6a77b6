//! Keys as PEM: PKCS#8 for private keys (RFC 5958), `SubjectPublicKeyInfo` for public ones (RFC 5280).

use std::sync::Arc;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    signature::{EcdsaKeyPair, KeyPair as _, ParsedPublicKey},
};
use jsonwebtoken::{
    DecodingKey, EncodingKey,
    jwk::{Jwk, ThumbprintHash},
};
use pem::{EncodeConfig, LineEnding, Pem};

use super::{
    algorithm::Algorithm,
    pkcs8::{Kind, Version2, private_kind, public_kind},
};

const PRIVATE_TAG: &str = "PRIVATE KEY";
const PUBLIC_TAG: &str = "PUBLIC KEY";

/// Why a text cannot be used as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// There is no PEM block.
    #[error("the key is not in PEM format")]
    NotPem,
    /// A PEM block of another kind, where a private key is expected.
    #[error("the PEM block is not a private key in PKCS#8 format (BEGIN {PRIVATE_TAG})")]
    NotPrivate,
    /// A PEM block of another kind, where a public key is expected.
    #[error(
        "the PEM block is not a public key (BEGIN {PUBLIC_TAG}); get it with `openssl pkey -in private.pem -pubout`"
    )]
    NotPublic,
    /// A PEM block without its end, or with something else inside than base64.
    #[error("the PEM block is damaged: copy the whole file, from its first line to its last")]
    DamagedPem,
    /// Not a text at all.
    #[error(
        "the key is not a text: if it is in DER format, convert it with `openssl pkey -inform DER -in key.der -out \
         private.pem`"
    )]
    Binary,
    /// More than one key, and it is not clear which one is meant.
    #[error("the file has several keys: leave one in it")]
    Several,
    /// A certificate, where a public key is expected.
    #[error("this is a certificate; get its key with `openssl x509 -in cert.pem -pubkey -noout`")]
    Certificate,
    /// The format of OpenSSH.
    #[error("the key is in the format of OpenSSH; convert it with `ssh-keygen -p -m PKCS8 -f key`")]
    Ssh,
    /// The older format of RFC 5915.
    #[error(
        "the key is in SEC1 format; convert it with `openssl pkcs8 -topk8 -nocrypt -in key.pem -out private.pem`"
    )]
    Sec1,
    /// A key behind a passphrase.
    #[error("the key is encrypted; decrypt it with `openssl pkcs8 -in key.pem -out private.pem`")]
    Encrypted,
    /// Another kind of key, or another curve.
    #[error("this is {0}: requests are signed with an EC key on the curve P-384 or P-256")]
    Kind(&'static str),
    /// A curve by its parameters.
    #[error(
        "the key describes its curve instead of naming it; convert it with `openssl ec -in key.pem -param_enc \
         named_curve` (and `-pubin` for a public key)"
    )]
    ExplicitCurve,
    /// A point that is not on its curve, or nothing that can be read.
    #[error("the key is not a valid EC key on the curve P-384 or P-256")]
    Curve,
    /// The cryptographic library failed.
    #[error("the cryptographic library cannot process the key")]
    Library,
}

/// A key that verifies signatures.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// Parsed once, where jsonwebtoken would parse the key for each signature.
    parsed: ParsedPublicKey,
    pem: String,
    thumbprint: Arc<str>,
}

impl PublicKey {
    /// Reads SPKI PEM. The curve is checked, and that the point is on it (RFC 8725, 3.4).
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let block = block(text, PUBLIC_TAG, |other| match other {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => InvalidKey::Certificate,
            _ => InvalidKey::NotPublic,
        })?;
        let parse = |algorithm: Algorithm| {
            let key = ParsedPublicKey::new(algorithm.verification(), block.contents()).ok()?;
            Some((algorithm, key))
        };
        let found = Algorithm::ALL.into_iter().find_map(parse);
        let (algorithm, parsed) = found.ok_or_else(|| refusal(public_kind(block.contents())))?;
        let der = parsed.as_der().map_err(|_| InvalidKey::Library)?;
        let pem = encode(PUBLIC_TAG, der.as_ref());
        Ok(Self { algorithm, thumbprint: thumbprint(&pem, algorithm)?, pem, parsed })
    }

    /// The only algorithm that this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SPKI PEM, the point uncompressed.
    #[must_use]
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The RFC 7638 thumbprint (SHA-256, base64url): a key id that anyone can derive from the key alone.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether the private key made this signature (RFC 7518, 3.4: R, then S) over this message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

/// A key that signs.
pub struct PrivateKey {
    algorithm: Algorithm,
    pair: EcdsaKeyPair,
    pem: String,
}

impl PrivateKey {
    /// Makes a new key from the operating system's randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let pair = EcdsaKeyPair::generate(algorithm.signing()).map_err(|_| InvalidKey::Library)?;
        let der = pair.to_pkcs8v1().map_err(|_| InvalidKey::Library)?;
        let pem = encode(PRIVATE_TAG, der.as_ref());
        Ok(Self { algorithm, pair, pem })
    }

    /// Reads PKCS#8 PEM, in version 1 or 2 (RFC 5958).
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let block = block(text, PRIVATE_TAG, |other| match other {
            "EC PRIVATE KEY" | "EC PARAMETERS" => InvalidKey::Sec1,
            "ENCRYPTED PRIVATE KEY" => InvalidKey::Encrypted,
            "OPENSSH PRIVATE KEY" => InvalidKey::Ssh,
            "RSA PRIVATE KEY" => InvalidKey::Kind("an RSA key"),
            "DSA PRIVATE KEY" => InvalidKey::Kind("a DSA key"),
            _ => InvalidKey::NotPrivate,
        })?;
        let version_2 = Version2::read(block.contents());
        let der = version_2.as_ref().map_or(block.contents(), |version_2| &version_2.version_1);
        let parse = |algorithm: Algorithm| {
            let pair = EcdsaKeyPair::from_pkcs8(algorithm.signing(), der).ok()?;
            Some((algorithm, pair))
        };
        let found = Algorithm::ALL.into_iter().find_map(parse);
        let (algorithm, pair) = found.ok_or_else(|| refusal(private_kind(der)))?;
        let point = version_2.and_then(|version_2| version_2.point);
        if point.is_some_and(|point| point != pair.public_key().as_ref()) {
            return Err(InvalidKey::Curve);
        }
        let der = pair.to_pkcs8v1().map_err(|_| InvalidKey::Library)?;
        let pem = encode(PRIVATE_TAG, der.as_ref());
        Ok(Self { algorithm, pair, pem })
    }

    /// The algorithm that this key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// PKCS#8 PEM, not encrypted.
    #[must_use]
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> Result<PublicKey, InvalidKey> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| InvalidKey::Library)?;
        PublicKey::from_pem(&encode(PUBLIC_TAG, der.as_ref()))
    }

    /// The thumbprint of the public key.
    pub fn thumbprint(&self) -> Result<String, InvalidKey> {
        Ok(self.public_key()?.thumbprint().to_owned())
    }

    pub(super) fn encoding(&self) -> Result<EncodingKey, InvalidKey> {
        EncodingKey::from_ec_pem(self.pem.as_bytes()).map_err(|_| InvalidKey::Library)
    }
}

/// The one block of this kind in a text, which may have other blocks and other text. If there is none, `refuse` says what
/// the first block is.
fn block(text: &str, tag: &str, refuse: impl FnOnce(&str) -> InvalidKey) -> Result<Pem, InvalidKey> {
    let blocks = pem::parse_many(text).map_err(|_| InvalidKey::DamagedPem)?;
    let mut wanted: Vec<&Pem> = blocks.iter().filter(|block| block.tag() == tag).collect();
    wanted.dedup();
    match (&wanted[..], &blocks[..]) {
        ([block], _) => Ok((*block).clone()),
        ([_, _, ..], _) => Err(InvalidKey::Several),
        ([], [first, ..]) => Err(refuse(first.tag())),
        ([], []) if text.contains("-----BEGIN ") => Err(InvalidKey::DamagedPem),
        ([], []) => Err(InvalidKey::NotPem),
    }
}

fn refusal(kind: Kind) -> InvalidKey {
    match kind {
        Kind::Other(kind) => InvalidKey::Kind(kind),
        Kind::ExplicitCurve => InvalidKey::ExplicitCurve,
        Kind::Unknown => InvalidKey::Curve,
    }
}

fn thumbprint(pem: &str, algorithm: Algorithm) -> Result<Arc<str>, InvalidKey> {
    DecodingKey::from_ec_pem(pem.as_bytes())
        .and_then(|key| Jwk::from_decoding_key(&key, Some(algorithm.jose())))
        .and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256))
        .map(Into::into)
        .map_err(|_| InvalidKey::Library)
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}
