//! Keys as PEM: PKCS#8 for private keys (RFC 5958), `SubjectPublicKeyInfo` for public ones (RFC 5280).

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    signature::{EcdsaKeyPair, KeyPair as _, ParsedPublicKey},
};
use jsonwebtoken::{
    DecodingKey, EncodingKey,
    jwk::{Jwk, ThumbprintHash},
};
use pem::{EncodeConfig, LineEnding, Pem};

use super::algorithm::Algorithm;

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
    /// The older format of RFC 5915.
    #[error(
        "the key is in SEC1 format; convert it with `openssl pkcs8 -topk8 -nocrypt -in key.pem -out private.pem`"
    )]
    Sec1,
    /// A key behind a passphrase.
    #[error("the key is encrypted; decrypt it with `openssl pkcs8 -in key.pem -out private.pem`")]
    Encrypted,
    /// Another curve, another kind of key, or a point that is not on its curve.
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
}

impl PublicKey {
    /// Reads SPKI PEM. The curve is checked, and that the point is on it (RFC 8725, 3.4).
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let block = pem::parse(text).map_err(|_| InvalidKey::NotPem)?;
        if block.tag() != PUBLIC_TAG {
            return Err(InvalidKey::NotPublic);
        }
        let parse = |algorithm: Algorithm| {
            let key = ParsedPublicKey::new(algorithm.verification(), block.contents()).ok()?;
            Some((algorithm, key))
        };
        let (algorithm, parsed) = Algorithm::ALL.into_iter().find_map(parse).ok_or(InvalidKey::Curve)?;
        let der = parsed.as_der().map_err(|_| InvalidKey::Library)?;
        Ok(Self { algorithm, pem: encode(PUBLIC_TAG, der.as_ref()), parsed })
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
    pub fn thumbprint(&self) -> Result<String, InvalidKey> {
        DecodingKey::from_ec_pem(self.pem.as_bytes())
            .and_then(|key| Jwk::from_decoding_key(&key, Some(self.algorithm.jose())))
            .and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256))
            .map_err(|_| InvalidKey::Library)
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

    /// Reads PKCS#8 PEM.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let block = pem::parse(text).map_err(|_| InvalidKey::NotPem)?;
        match block.tag() {
            PRIVATE_TAG => {}
            "EC PRIVATE KEY" | "EC PARAMETERS" => return Err(InvalidKey::Sec1),
            "ENCRYPTED PRIVATE KEY" => return Err(InvalidKey::Encrypted),
            _ => return Err(InvalidKey::NotPrivate),
        }
        let parse = |algorithm: Algorithm| {
            let pair = EcdsaKeyPair::from_pkcs8(algorithm.signing(), block.contents()).ok()?;
            Some(Self { algorithm, pair, pem: encode(PRIVATE_TAG, block.contents()) })
        };
        Algorithm::ALL.into_iter().find_map(parse).ok_or(InvalidKey::Curve)
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

    pub(super) fn encoding(&self) -> Result<EncodingKey, InvalidKey> {
        EncodingKey::from_ec_pem(self.pem.as_bytes()).map_err(|_| InvalidKey::Library)
    }
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}
