//! The test vectors of docs/signing.md: what they print belongs together, and the service accepts their signatures.

use std::{fs, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use customers_api::{
    scope::Scope,
    signature::{Algorithm, Facts, Key, Keyring, PrivateKey, sign, verify},
};
use serde_json::Value;

/// A vector as it is printed: one block of code for each part.
struct Vector<'a> {
    pem: &'a str,
    jwk: &'a str,
    key_id: &'a str,
    request: &'a str,
    header: &'a str,
    claims: &'a str,
    token: &'a str,
}

impl<'a> Vector<'a> {
    fn parse(section: &'a str) -> Self {
        let blocks = section.split("```").skip(1).step_by(2);
        let blocks: Vec<_> = blocks.map(|block| block.split_once('\n').unwrap().1.trim_end()).collect();
        let [pem, jwk, key_id, request, header, claims, token] = blocks[..] else {
            panic!("{} blocks in {section}", blocks.len());
        };
        Self { pem, jwk, key_id, request, header, claims, token }
    }

    fn claims(&self) -> Value {
        serde_json::from_str(self.claims).unwrap()
    }

    fn facts(&self) -> Facts<'a> {
        let (line, body) = self.request.split_once("\n\n").unwrap_or((self.request, ""));
        let words: Vec<_> = line.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else { panic!("{line}") };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let now = self.claims()["iat"].as_i64().unwrap();
        Facts {
            audience: "customers-api",
            now,
            method,
            path,
            base_path: "",
            template: "",
            query,
            body: body.as_bytes(),
        }
    }

    fn keyring(&self) -> Keyring {
        let public_key = PrivateKey::from_pem(self.pem).unwrap().public_key().unwrap();
        let key = Key {
            account: "acme".parse().unwrap(),
            public_key,
            scope: Scope::Write,
            expires_at: None,
            is_revoked: false,
        };
        [(self.key_id.to_owned(), key)].into_iter().collect()
    }
}

fn on_each_vector(test: impl Fn(&Vector<'_>)) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/signing.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, vectors) = text.split_once("\n## Test vectors\n").unwrap();
    let vectors: Vec<_> = vectors.split("\n### ").skip(1).map(Vector::parse).collect();
    let algorithm = |vector: &Vector<'_>| PrivateKey::from_pem(vector.pem).unwrap().algorithm();
    assert_eq!(vectors.iter().map(algorithm).collect::<Vec<_>>(), Algorithm::ALL, "one for each algorithm");
    vectors.iter().for_each(test);
}

#[test]
fn what_a_vector_prints_belongs_together() {
    on_each_vector(|vector| {
        let key = PrivateKey::from_pem(vector.pem).unwrap();
        assert_eq!(key.thumbprint().unwrap(), vector.key_id);
        assert_eq!(BASE64URL.encode(digest(&SHA256, vector.jwk.as_bytes())), vector.key_id);
        let header: Value = serde_json::from_str(vector.header).unwrap();
        assert_eq!(header["kid"], vector.key_id);
        assert_eq!(header["alg"], key.algorithm().name());
        let message = format!("{}.{}", BASE64URL.encode(vector.header), BASE64URL.encode(vector.claims));
        assert_eq!(vector.token.rsplit_once('.').unwrap().0, message);
    });
}

#[test]
fn the_signature_of_a_vector_is_accepted_until_it_expires() {
    on_each_vector(|vector| {
        let (facts, keyring) = (vector.facts(), vector.keyring());
        let expires_at = vector.claims()["exp"].as_i64().unwrap();
        for now in [facts.now, expires_at - 1] {
            let verified = verify(vector.token, &keyring, &Facts { now, ..facts }).unwrap();
            assert_eq!(verified.account.as_str(), "acme");
        }
        assert!(verify(vector.token, &keyring, &Facts { now: expires_at, ..facts }).is_err());
    });
}

#[test]
fn the_signature_of_a_vector_is_refused_for_another_request() {
    on_each_vector(|vector| {
        let (facts, keyring) = (vector.facts(), vector.keyring());
        for other in [
            Facts { audience: "another", ..facts },
            Facts { method: "DELETE", ..facts },
            Facts { path: "/customers/c-2", ..facts },
            Facts { query: "PageSize=6", ..facts },
            Facts { body: b"{}", ..facts },
        ] {
            assert!(verify(vector.token, &keyring, &other).is_err(), "{other:?}");
        }
    });
}

#[test]
fn the_claims_of_a_vector_are_those_that_sign_sends() {
    on_each_vector(|vector| {
        let key = PrivateKey::from_pem(vector.pem).unwrap();
        let token = sign(&key, Some(vector.key_id), &vector.facts(), 300).unwrap();
        let parts: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap())
            .collect();
        let mut claims = parts[1].clone();
        claims["jti"] = vector.claims()["jti"].clone();
        assert_eq!(claims, vector.claims());
        assert_eq!(parts[0], serde_json::from_str::<Value>(vector.header).unwrap());
    });
}
