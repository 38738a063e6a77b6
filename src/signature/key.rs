//! Keys that verify, and keys that sign.

use std::sync::Arc;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    signature::{EcdsaKeyPair, KeyPair as _, ParsedPublicKey},
};
use jsonwebtoken::{
    DecodingKey, EncodingKey,
    jwk::{Jwk, ThumbprintHash},
};
use x509_cert::{der::Decode as _, spki::SubjectPublicKeyInfoRef};

use super::{
    algorithm::Algorithm,
    encoding::{InvalidKey, PRIVATE_TAG, PUBLIC_TAG, decode, encode, refused, version_1},
};

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
        let block = decode(text, PUBLIC_TAG, |other| match other {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => InvalidKey::Certificate,
            _ => InvalidKey::NotPublic,
        })?;
        let found = Algorithm::first(|of| ParsedPublicKey::new(of.verification(), &block).ok());
        let (algorithm, parsed) = found.ok_or_else(|| refused(&block, 0))?;
        let der = parsed.as_der().map_err(|_| InvalidKey::Library)?;
        let (pem, thumbprint) = (encode(PUBLIC_TAG, der.as_ref())?, thumbprint(der.as_ref(), algorithm)?);
        Ok(Self { algorithm, parsed, pem, thumbprint })
    }

    /// The only algorithm that this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SPKI PEM, the point uncompressed.
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The RFC 7638 thumbprint (SHA-256, base64url): a key id that anyone can derive from the key alone.
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
        Self::of(algorithm, pair)
    }

    fn of(algorithm: Algorithm, pair: EcdsaKeyPair) -> Result<Self, InvalidKey> {
        let der = pair.to_pkcs8v1().map_err(|_| InvalidKey::Library)?;
        Ok(Self { algorithm, pem: encode(PRIVATE_TAG, der.as_ref())?, pair })
    }

    /// Reads PKCS#8 PEM, in version 1 or 2 (RFC 5958).
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let block = decode(text, PRIVATE_TAG, |other| match other {
            "EC PRIVATE KEY" | "EC PARAMETERS" => InvalidKey::Sec1,
            "ENCRYPTED PRIVATE KEY" => InvalidKey::Encrypted,
            "OPENSSH PRIVATE KEY" => InvalidKey::Ssh,
            "RSA PRIVATE KEY" => InvalidKey::Kind("an RSA key"),
            "DSA PRIVATE KEY" => InvalidKey::Kind("a DSA key"),
            _ => InvalidKey::NotPrivate,
        })?;
        let (der, point) = version_1(&block).unwrap_or((block, None));
        let found = Algorithm::first(|of| EcdsaKeyPair::from_pkcs8(of.signing(), &der).ok());
        let (algorithm, pair) = found.ok_or_else(|| refused(&der, 1))?;
        if point.is_some_and(|point| point != pair.public_key().as_ref()) {
            return Err(InvalidKey::Curve);
        }
        Self::of(algorithm, pair)
    }

    /// The algorithm that this key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// PKCS#8 PEM, not encrypted.
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> Result<PublicKey, InvalidKey> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| InvalidKey::Library)?;
        PublicKey::from_pem(&encode(PUBLIC_TAG, der.as_ref())?)
    }

    /// The thumbprint of the public key.
    pub fn thumbprint(&self) -> Result<String, InvalidKey> {
        Ok(self.public_key()?.thumbprint().to_owned())
    }

    pub(super) fn encoding(&self) -> Result<EncodingKey, InvalidKey> {
        let der = self.pair.to_pkcs8v1().map_err(|_| InvalidKey::Library)?;
        Ok(EncodingKey::from_ec_der(der.as_ref()))
    }
}

fn thumbprint(spki: &[u8], algorithm: Algorithm) -> Result<Arc<str>, InvalidKey> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| InvalidKey::Library)?;
    let key = DecodingKey::from_ec_der(spki.subject_public_key.raw_bytes());
    let jwk = Jwk::from_decoding_key(&key, Some(algorithm.jose()));
    jwk.and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256))
        .map(Into::into)
        .map_err(|_| InvalidKey::Library)
}
