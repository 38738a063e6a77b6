//! Key files of every kind: they are read, or the message says what they are.

use std::fs;

use customers_api::signature::{Algorithm, PrivateKey, PublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use x509_cert::der::pem::{LineEnding, encode_string};

use super::Place;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const IDENTIFIER: u8 = 0x06;

const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// An element of DER.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match (high, low) {
        (0, 0..0x80) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [vec![tag], length, content].concat()
}

/// The content of an element, in parts.
fn parts(der: &[u8]) -> Vec<Vec<u8>> {
    let split = |der: &[u8]| {
        let (length, start) = if der[1] < 0x80 { (der[1], 2) } else { (der[2], 3) };
        (der[start..start + usize::from(length)].to_vec(), start + usize::from(length))
    };
    let (mut rest, mut parts) = (split(der).0, Vec::new());
    while !rest.is_empty() {
        let end = split(&rest).1;
        parts.push(rest.drain(..end).collect());
    }
    parts
}

fn text(tag: &str, der: impl Into<Vec<u8>>) -> String {
    encode_string(tag, LineEnding::CRLF, &der.into()).unwrap()
}

/// The DER of a private key.
fn der(pem: &str) -> Vec<u8> {
    PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_pkcs8_der().to_owned()
}

/// A key pair: PKCS#8 in version 1, and the public key.
struct Pair {
    private: PrivateKey,
    algorithm_element: Vec<u8>,
    key_element: Vec<u8>,
    point: Vec<u8>,
}

impl Pair {
    fn generate(algorithm: Algorithm) -> Self {
        let private = PrivateKey::generate(algorithm).unwrap();
        let der = der(private.to_pem());
        let [_, algorithm_element, key_element] = parts(&der).try_into().unwrap();
        let public = private.public_key().unwrap();
        let public = SubjectPublicKeyInfoDer::from_pem_slice(public.to_pem().as_bytes()).unwrap();
        let point = public[public.len() - point_bytes(algorithm)..].to_vec();
        Self { private, algorithm_element, key_element, point }
    }

    /// The key with this version, this private part, and these options.
    fn pkcs8(&self, version: u8, key: &[u8], options: &[&[u8]]) -> String {
        let version = element(INTEGER, &[&[version]]);
        let parts = [&[version.as_slice(), &self.algorithm_element, key], options].concat();
        text("PRIVATE KEY", element(SEQUENCE, &parts))
    }

    /// The private part without the public key in it.
    fn key_alone(&self) -> Vec<u8> {
        let inner = parts(&element(SEQUENCE, &[&self.key_element])).remove(0);
        let start = if inner[1] < 0x80 { 2 } else { 3 };
        let inner = parts(&inner[start..]);
        element(OCTET_STRING, &[&element(SEQUENCE, &[&inner[0], &inner[1]])])
    }
}

fn point_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Es384 => 97,
        Algorithm::Es256 => 65,
    }
}

#[test]
fn a_private_key_is_read_in_version_1_and_2_of_pkcs8() {
    for algorithm in Algorithm::ALL {
        let pair = Pair::generate(algorithm);
        let (key, alone) = (&pair.key_element, &pair.key_alone());
        let bits = [&[0], pair.point.as_slice()].concat();
        let (implicit, explicit) =
            (element(0x81, &[&bits]), element(0xa1, &[&element(BIT_STRING, &[&bits])]));
        let attributes = element(0xa0, &[]);
        for pem in [
            pair.pkcs8(0, key, &[]),
            pair.pkcs8(0, alone, &[]),
            pair.pkcs8(1, key, &[]),
            pair.pkcs8(1, key, &[&implicit]),
            pair.pkcs8(1, alone, &[&implicit]),
            pair.pkcs8(1, key, &[&explicit]),
            pair.pkcs8(1, key, &[&attributes, &implicit]),
        ] {
            let read = PrivateKey::from_pem(&pem).unwrap_or_else(|error| panic!("{error}: {algorithm}"));
            assert_eq!(read.thumbprint(), pair.private.thumbprint());
            assert_eq!(read.algorithm(), algorithm);
        }
        let other = Pair::generate(algorithm);
        let of_another = element(0x81, &[&[0], &other.point]);
        let of_nobody = element(0x81, &[&[0], &pair.point[1..]]);
        for pem in [
            pair.pkcs8(1, key, &[&of_another]),
            pair.pkcs8(1, key, &[&of_nobody]),
            pair.pkcs8(2, key, &[&implicit]),
            pair.pkcs8(1, &key[..key.len() - 1], &[&implicit]),
        ] {
            assert!(PrivateKey::from_pem(&pem).is_err(), "{algorithm}");
        }
    }
}

#[test]
fn a_token_is_made_with_a_key_in_version_2() {
    let place = Place::new();
    let pair = Pair::generate(Algorithm::Es384);
    let option = element(0x81, &[&[0], &pair.point]);
    fs::write(place.file("private.pem"), pair.pkcs8(1, &pair.key_element, &[&option])).unwrap();
    let token = place.succeeds(&["sign", "GET", "/", "--key", "private.pem"]);
    assert_eq!(token.trim_end().split('.').count(), 3);
}

#[test]
fn a_public_key_with_a_compressed_point_is_read() {
    for algorithm in Algorithm::ALL {
        let pair = Pair::generate(algorithm);
        let half = pair.point.len() / 2;
        let parity = 2 + pair.point[2 * half] % 2;
        let point = element(BIT_STRING, &[&[0, parity], &pair.point[1..=half]]);
        let spki = element(SEQUENCE, &[&pair.algorithm_element, &point]);
        let key = PublicKey::from_pem(&text("PUBLIC KEY", spki)).unwrap();
        assert_eq!(key.thumbprint(), pair.private.thumbprint().unwrap());
        assert_eq!(key.to_pem(), pair.private.public_key().unwrap().to_pem());
    }
}

#[test]
fn a_key_is_found_among_other_text() {
    let pair = PrivateKey::generate(Algorithm::Es256).unwrap();
    let (private, public) = (pair.to_pem(), pair.public_key().unwrap().to_pem().to_owned());
    let crlf = |text: &str| text.replace('\n', "\r\n");
    for pem in [
        crlf(private),
        format!("\u{feff}{private}"),
        format!("Bag Attributes\n    friendlyName: x\n{private}"),
        format!("{public}{private}"),
        format!("{}{private}", text("EC PARAMETERS", [6, 0])),
        format!("{private}{private}"),
        private.lines().flat_map(|line| ["    ", line, " \n"]).collect(),
    ] {
        assert_eq!(PrivateKey::from_pem(&pem).unwrap().thumbprint(), pair.thumbprint(), "{pem}");
    }
    for pem in [crlf(&public), format!("{private}{public}"), format!("\n\n{public}\n\n")] {
        assert_eq!(PublicKey::from_pem(&pem).unwrap().thumbprint(), pair.thumbprint().unwrap(), "{pem}");
    }
}

#[test]
fn a_key_that_does_not_sign_here_is_called_what_it_is() {
    const NULL: u8 = 0x05;
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let curve = |identifier: &[u8]| {
        element(SEQUENCE, &[&element(IDENTIFIER, &[&EC]), &element(IDENTIFIER, &[identifier])])
    };
    let kind = |identifier: &[u8]| element(SEQUENCE, &[&element(IDENTIFIER, &[identifier])]);
    for (algorithm, name) in [
        (curve(&[0x2b, 0x81, 0x04, 0x00, 0x23]), "this is an EC key on the curve P-521"),
        (curve(&[0x2b, 0x81, 0x04, 0x00, 0x21]), "this is an EC key on the curve P-224"),
        (curve(&[0x2b, 0x81, 0x04, 0x00, 0x0a]), "this is an EC key on the curve secp256k1"),
        (curve(&[0x2b, 0x24, 0x03]), "this is an EC key on another curve"),
        (element(SEQUENCE, &[&element(IDENTIFIER, &[&EC]), &element(SEQUENCE, &[])]), "describes its curve"),
        (kind(&RSA), "this is an RSA key"),
        (element(SEQUENCE, &[&element(IDENTIFIER, &[&RSA]), &element(NULL, &[])]), "this is an RSA key"),
        (kind(&[0x2b, 0x65, 0x70]), "this is an Ed25519 key"),
        (kind(&[0x2b, 0x65, 0x6e]), "this is an X25519 key"),
        (kind(&[0x2a, 0x03, 0x04]), "this is a key of another kind"),
        (curve(&[0x2b, 0x81, 0x04, 0x00, 0x22]), "the key is not a valid EC key on the curve P-384 or P-256"),
    ] {
        let key = element(OCTET_STRING, &[&[0; 8]]);
        for version in [0, 1] {
            let private = element(SEQUENCE, &[&element(INTEGER, &[&[version]]), &algorithm, &key]);
            let refused = PrivateKey::from_pem(&text("PRIVATE KEY", private)).err().unwrap().to_string();
            assert!(refused.contains(name), "{refused}, not {name}");
        }
        let public = element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0; 8]])]);
        let refused = PublicKey::from_pem(&text("PUBLIC KEY", public)).err().unwrap().to_string();
        assert!(refused.contains(name), "{refused}, not {name}");
    }
}

#[test]
fn a_file_that_is_not_one_key_is_called_what_it_is() {
    let place = Place::new();
    let [one, other] = [0; 2].map(|_| PrivateKey::generate(Algorithm::Es384).unwrap().to_pem().to_owned());
    let utf16: Vec<u8> = one.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = [&[0xff, 0xfe], utf16.as_slice()].concat();
    for (name, bytes, reason) in [
        ("two.pem", format!("{one}{other}").into_bytes(), "the file has several keys"),
        ("cut.pem", one[..150].into(), "the PEM block is damaged"),
        ("not-base64.pem", one.replace("MIG", "***").into_bytes(), "the PEM block is damaged"),
        ("key.der", der(&one), "if it is in DER format, convert it with `openssl pkey"),
        ("utf16.pem", utf16, "the key is not a text"),
        ("ssh.pem", text("OPENSSH PRIVATE KEY", [0; 9]).into_bytes(), "in the format of OpenSSH"),
        ("rsa.pem", text("RSA PRIVATE KEY", [0; 9]).into_bytes(), "this is an RSA key"),
        (
            "encrypted-sec1.pem",
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIG=\n\
             -----END EC PRIVATE KEY-----\n"
                .into(),
            "the key is in SEC1 format",
        ),
        ("empty.pem", Vec::new(), "the key is not in PEM format"),
    ] {
        fs::write(place.file(name), bytes).unwrap();
        let error = place.fails(1, &["sign", "GET", "/", "--key", name]);
        assert!(
            error.starts_with(&format!("error: cannot use the key {name}: ")) && error.contains(reason),
            "{error}"
        );
    }
    fs::write(place.file("cert.pem"), text("CERTIFICATE", [0; 9])).unwrap();
    let error = place.fails(1, &["keys", "add", "--account", "a", "--public-key", "cert.pem"]);
    assert!(error.contains("this is a certificate; get its key with `openssl x509"), "{error}");
}

#[test]
fn damaged_keys_never_panic() {
    let pair = Pair::generate(Algorithm::Es256);
    let option = element(0x81, &[&[0], &pair.point]);
    let der = der(&pair.pkcs8(1, &pair.key_element, &[&option]));
    for index in 0..der.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut damaged = der.clone();
            damaged[index] ^= bits;
            // It may still be a key, such as one whose attributes were changed.
            let _ = PrivateKey::from_pem(&text("PRIVATE KEY", damaged.clone()));
            let _ = PublicKey::from_pem(&text("PUBLIC KEY", damaged));
        }
        let _ = PrivateKey::from_pem(&text("PRIVATE KEY", &der[..index]));
    }
}
