//! Any text as `Api-Signature`, and any claims that are signed properly: it is accepted if, and only if, the claims are
//! those of the request, by a reading of the rules that shares no code with the service.

#![no_main]

mod forgery;
mod rules;

use std::sync::LazyLock;

use customers_api::{
    scope::Scope,
    signature::{Algorithm, Facts, Key, Keyring, PrivateKey, verify},
};
use forgery::{Forgery, Input};
use libfuzzer_sys::fuzz_target;

/// The time at which every request arrives.
const NOW: i64 = 1_800_000_000;

/// What every token must be meant for.
const AUDIENCE: &str = "customers-api";

/// A key with what the registry knows of it.
struct Signer {
    key_id: &'static str,
    key: PrivateKey,
    expires_at: Option<i64>,
    is_revoked: bool,
}

static SIGNERS: LazyLock<[Signer; 4]> = LazyLock::new(|| {
    let signer = |key_id, algorithm, expires_at, is_revoked| Signer {
        key_id,
        key: PrivateKey::generate(algorithm).expect("a key"),
        expires_at,
        is_revoked,
    };
    [
        signer("a", Algorithm::Es256, Some(NOW + 1), false),
        signer("b", Algorithm::Es384, None, false),
        signer("c", Algorithm::Es256, None, true),
        signer("d", Algorithm::Es384, Some(NOW), false),
    ]
});

/// Where a token without `kid` has no key to go by, and where it has one.
static SEVERAL: LazyLock<Keyring> = LazyLock::new(|| keyring(&SIGNERS[..]));
static ALONE: LazyLock<Keyring> = LazyLock::new(|| keyring([&SIGNERS[0], &SIGNERS[2], &SIGNERS[3]]));

fn keyring(signers: impl IntoIterator<Item = &'static Signer>) -> Keyring {
    let key = |signer: &Signer| Key {
        account: signer.key_id.parse().expect("an account"),
        public_key: signer.key.public_key().expect("a public half"),
        scope: Scope::Write,
        expires_at: signer.expires_at,
        is_revoked: signer.is_revoked,
    };
    signers.into_iter().map(|signer| (signer.key_id.to_owned(), key(signer))).collect()
}

fuzz_target!(|input: Input<'_>| {
    let facts = Facts {
        audience: AUDIENCE,
        now: NOW,
        method: input.method,
        path: input.path,
        base_path: "",
        template: "",
        query: input.query,
        body: input.body,
    };
    let keyring: &Keyring = if input.is_alone { &ALONE } else { &SEVERAL };
    let (header, claims) = (input.header(), input.claims());
    let signed = forgery::sign(&SIGNERS[input.signer()].key, &header, &claims);
    let token = input.forgery.apply(&signed);
    let verdict = verify(&token, keyring, &facts);

    let follows_the_rules =
        rules::names_the_key(&header, input.signer(), input.is_alone) && rules::are_facts(&claims, &facts);
    if let Forgery::None = input.forgery {
        let is_short = token.len() <= customers_api::signature::SIGNATURE_BYTES_MAX;
        assert_eq!(verdict.is_ok(), follows_the_rules && is_short, "{header} {claims} {facts:?} {verdict:?}");
    } else if verdict.is_ok() {
        // What was signed may be sent with another encoding of the same signature, but never changed.
        let message = |token: &str| token.rsplit_once('.').map(|(message, _)| message.to_owned());
        assert_eq!(message(&token), message(&signed), "what was signed is what is accepted");
        assert!(follows_the_rules, "{header} {claims} {facts:?}");
    }
    if let Ok(verified) = verdict {
        assert_eq!(verified.account.as_str(), SIGNERS[input.signer()].key_id, "the account is that of the key");
    }
});
