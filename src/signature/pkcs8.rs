//! PKCS#8 (RFC 5958) and `SubjectPublicKeyInfo` (RFC 5280), as far as the library does not read them.

use super::der::{self, BIT_STRING, Element, INTEGER, OBJECT_IDENTIFIER, SECOND, SEQUENCE};

/// The object identifier of keys on elliptic curves.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Curves and kinds of keys that do not sign here.
const OTHERS: [(&[u8], &str); 13] = [
    (&[0x2b, 0x81, 0x04, 0x00, 0x21], "an EC key on the curve P-224"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "an EC key on the curve P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "an EC key on the curve secp256k1"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], "an RSA key"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a], "an RSA key (PSS)"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "a DSA key"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x03, 0x01], "a Diffie-Hellman key"),
    (&[0x2b, 0x65, 0x6e], "an X25519 key"),
    (&[0x2b, 0x65, 0x6f], "an X448 key"),
    (&[0x2b, 0x65, 0x70], "an Ed25519 key"),
    (&[0x2b, 0x65, 0x71], "an Ed448 key"),
    // The curves of ES384 and ES256: here, the key itself is damaged.
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], ""),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], ""),
];

/// A private key in version 2 of PKCS#8.
pub(super) struct Version2 {
    /// The same key in version 1, which the library reads.
    pub(super) version_1: Vec<u8>,
    /// The point of the public key, if it is there.
    pub(super) point: Option<Vec<u8>>,
}

impl Version2 {
    /// Reads a key, if it is in version 2.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let parts = der::read(der)?.children()?;
        let [version, algorithm, key, options @ ..] = &parts[..] else { return None };
        if (version.tag, version.content) != (INTEGER, &[1]) {
            return None;
        }
        let version = der::write(INTEGER, &[&[0]])?;
        let version_1 = der::write(SEQUENCE, &[&version, algorithm.whole, key.whole])?;
        let option = options.iter().find(|option| SECOND.contains(&option.tag));
        let point = match option {
            Some(option) => Some(bits(option)?.to_vec()),
            None => None,
        };
        Some(Self { version_1, point })
    }
}

/// The bytes of a bit string, which has its own tag if the one around it is explicit.
fn bits<'a>(element: &Element<'a>) -> Option<&'a [u8]> {
    let content = match der::read(element.content) {
        Some(inner) if inner.tag == BIT_STRING => inner.content,
        _ => element.content,
    };
    content.strip_prefix(&[0])
}

/// What is known of a key that the library refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key that does not sign here.
    Other(&'static str),
    /// A key that describes its curve instead of naming it.
    ExplicitCurve,
    /// Perhaps a damaged key on one of the two curves.
    Unknown,
}

/// The kind of a private key.
pub(super) fn private_kind(der: &[u8]) -> Kind {
    kind(der, 1)
}

/// The kind of a public key.
pub(super) fn public_kind(der: &[u8]) -> Kind {
    kind(der, 0)
}

/// The kind of a key whose algorithm is the element at this index.
fn kind(der: &[u8], index: usize) -> Kind {
    let algorithm = der::read(der).and_then(|key| key.children()?.get(index)?.children());
    match algorithm.as_deref() {
        Some([kind, curve]) if kind.content == EC && curve.tag == OBJECT_IDENTIFIER => {
            named(curve).unwrap_or(Kind::Other("an EC key on another curve"))
        }
        Some([kind, _]) if kind.content == EC => Kind::ExplicitCurve,
        Some([kind, ..]) if kind.tag == OBJECT_IDENTIFIER => {
            named(kind).unwrap_or(Kind::Other("a key of another kind"))
        }
        _ => Kind::Unknown,
    }
}

fn named(identifier: &Element<'_>) -> Option<Kind> {
    let (_, name) = OTHERS.into_iter().find(|(known, _)| *known == identifier.content)?;
    Some(if name.is_empty() { Kind::Unknown } else { Kind::Other(name) })
}
