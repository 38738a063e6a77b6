//! How keys are written: PEM (RFC 7468) around PKCS#8 (RFC 5958) or `SubjectPublicKeyInfo` (RFC 5280).

use rustls::pki_types::pem::{PemObject as _, SectionKind};
use x509_cert::{
    der::{
        Decode as _, Encode as _, Tag, TagNumber, Tagged as _,
        asn1::{AnyRef, BitStringRef, ObjectIdentifier},
        pem::{LineEnding, encode_string},
    },
    spki::AlgorithmIdentifierRef,
};

pub(super) const PRIVATE_TAG: &str = "PRIVATE KEY";

pub(super) const PUBLIC_TAG: &str = "PUBLIC KEY";

/// Why a text cannot be used as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    #[error("the key is not in PEM format")]
    NotPem,
    #[error("the PEM block is not a private key in PKCS#8 format (BEGIN {PRIVATE_TAG})")]
    NotPrivate,
    #[error(
        "the PEM block is not a public key (BEGIN {PUBLIC_TAG}); get it with `openssl pkey -in private.pem -pubout`"
    )]
    NotPublic,
    #[error("the PEM block is damaged: copy the whole file, from its first line to its last")]
    DamagedPem,
    #[error(
        "the key is not a text: if it is in DER format, convert it with `openssl pkey -inform DER -in key.der -out \
         private.pem`"
    )]
    Binary,
    #[error("the file has several keys: leave one in it")]
    Several,
    #[error("this is a certificate; get its key with `openssl x509 -in cert.pem -pubkey -noout`")]
    Certificate,
    #[error("the key is in the format of OpenSSH; convert it with `ssh-keygen -p -m PKCS8 -f key`")]
    Ssh,
    #[error(
        "the key is in SEC1 format; convert it with `openssl pkcs8 -topk8 -nocrypt -in key.pem -out private.pem`"
    )]
    Sec1,
    #[error("the key is encrypted; decrypt it with `openssl pkcs8 -in key.pem -out private.pem`")]
    Encrypted,
    #[error("this is {0}: requests are signed with an EC key on the curve P-384 or P-256")]
    Kind(&'static str),
    #[error(
        "the key describes its curve instead of naming it; convert it with `openssl ec -in key.pem -param_enc \
         named_curve` (and `-pubin` for a public key)"
    )]
    ExplicitCurve,
    #[error("the key is not a valid EC key on the curve P-384 or P-256")]
    Curve,
    #[error("the cryptographic library cannot process the key")]
    Library,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Keys on elliptic curves.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The curves of ES384 and ES256.
const CURVES: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.132.0.34"), ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")];

/// Curves and kinds of keys that do not sign here.
const OTHERS: [(ObjectIdentifier, &str); 11] = [
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), "an EC key on the curve P-224"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "an EC key on the curve P-521"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "an EC key on the curve secp256k1"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"), "an RSA key"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"), "an RSA key (PSS)"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "a DSA key"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.3.1"), "a Diffie-Hellman key"),
    (ObjectIdentifier::new_unwrap("1.3.101.110"), "an X25519 key"),
    (ObjectIdentifier::new_unwrap("1.3.101.111"), "an X448 key"),
    (ObjectIdentifier::new_unwrap("1.3.101.112"), "an Ed25519 key"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "an Ed448 key"),
];

pub(super) fn encode(tag: &str, der: &[u8]) -> Result<String, InvalidKey> {
    encode_string(tag, LineEnding::LF, der).map_err(|_| InvalidKey::Library)
}

/// The one key with this label in a text, which may have other blocks and other text. If it has no such key, `refuse` says
/// what the first block is.
pub(super) fn decode(
    text: &str,
    label: &str,
    refuse: impl FnOnce(&str) -> InvalidKey,
) -> Result<Vec<u8>, InvalidKey> {
    let labels = text.split("-----BEGIN ").skip(1).filter_map(|block| block.split("-----").next());
    let first = labels.clone().next().ok_or(InvalidKey::NotPem)?;
    if !labels.clone().any(|found| found == label) {
        return Err(refuse(first));
    }
    let lines: Vec<_> = text.trim_start_matches(BYTE_ORDER_MARK).lines().map(str::trim).collect();
    let lines = lines.join("\n");
    let kind = SectionKind::try_from(label.as_bytes()).map_err(|()| InvalidKey::Library)?;
    let blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(lines.as_bytes());
    let blocks: Vec<_> = blocks.collect::<Result<_, _>>().map_err(|_| InvalidKey::DamagedPem)?;
    let mut keys = blocks.into_iter().filter(|(found, _)| *found == kind).map(|(_, key)| key);
    let key = keys.next().ok_or(InvalidKey::DamagedPem)?;
    if keys.all(|other| other == key) { Ok(key) } else { Err(InvalidKey::Several) }
}

/// A private key in version 1 of PKCS#8, which the cryptographic library reads, and the point of its public key if version
/// 2 states it. What is not in version 2 is left as it is.
pub(super) fn version_1(der: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let parts = Vec::<AnyRef<'_>>::from_der(der).ok()?;
    let [version, algorithm, key, options @ ..] = &parts[..] else { return None };
    if (version.tag(), version.value()) != (Tag::Integer, &[1]) {
        return None;
    }
    let version = AnyRef::new(Tag::Integer, &[0]).ok()?;
    let version_1 = vec![version, *algorithm, *key].to_der().ok()?;
    let is_point =
        |option: &&AnyRef<'_>| matches!(option.tag(), Tag::ContextSpecific { number: TagNumber::N1, .. });
    let point = options.iter().find(is_point).map(|option| bits(option.value()));
    Some((version_1, point))
}

/// The bytes of a bit string, which has its own tag if the one around it is explicit. Empty if they are not whole bytes.
fn bits(content: &[u8]) -> Vec<u8> {
    let explicit = BitStringRef::from_der(content).ok().and_then(|bits| bits.as_bytes());
    explicit.or_else(|| content.strip_prefix(&[0])).unwrap_or_default().to_vec()
}

/// Why the cryptographic library refuses a key, whose algorithm is the element at this index: 0 in a public key, 1 in a private
/// one.
pub(super) fn refused(der: &[u8], index: usize) -> InvalidKey {
    let parts = Vec::<AnyRef<'_>>::from_der(der).unwrap_or_default();
    let algorithm = parts.get(index).and_then(|part| part.decode_as::<AlgorithmIdentifierRef<'_>>().ok());
    let Some(AlgorithmIdentifierRef { oid, parameters }) = algorithm else { return InvalidKey::Curve };
    let (oid, unknown) = match parameters {
        Some(curve) if oid == EC => match curve.decode_as() {
            Ok(curve) => (curve, "an EC key on another curve"),
            Err(_) => return InvalidKey::ExplicitCurve,
        },
        _ => (oid, "a key of another kind"),
    };
    if CURVES.contains(&oid) {
        return InvalidKey::Curve;
    }
    let known = OTHERS.into_iter().find(|(known, _)| *known == oid);
    InvalidKey::Kind(known.map_or(unknown, |(_, name)| name))
}
