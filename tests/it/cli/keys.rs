//! Keys on the command line: their ids, their files, and what is said about tokens without `kid`.

use std::{
    fs,
    io::Write as _,
    process::{Output, Stdio},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use customers_api::signature::{Algorithm, PrivateKey};
use serde_json::{Value, json};

use super::Place;
use crate::support::command;

/// The `kid` of a token.
fn kid(token: &str) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_token_always_names_its_key_by_default_by_its_thumbprint() {
    let place = Place::new();
    let registered = place.succeeds(&["keys", "generate", "--account", "acme", "--out", "private.pem"]);
    let thumbprint = registered.split(' ').nth(1).unwrap();

    let token = place.succeeds(&["sign", "GET", "/", "--key", "private.pem"]);
    assert_eq!(kid(&token), thumbprint);
    let token = place.succeeds(&["sign", "GET", "/", "--key", "private.pem", "--key-id", "acme-2026"]);
    assert_eq!(kid(&token), "acme-2026");
}

#[test]
fn it_is_said_when_tokens_without_a_key_id_stop_working() {
    const NOTE: &str = "tokens without kid are refused from now on";
    let place = Place::new();
    let generate = |file: &str| said(&place.run(&["keys", "generate", "--account", "acme", "--out", file]));
    fs::write(place.file("public.pem"), super::public_pem()).unwrap();
    let add = |account: &str, key_id: &str| {
        let arguments =
            ["keys", "add", "--account", account, "--public-key", "public.pem", "--key-id", key_id];
        said(&place.run(&arguments))
    };

    assert!(!generate("1.pem").contains(NOTE), "one key is active");
    assert!(add("other", "other-1").contains(NOTE), "two keys are active");
    assert!(!generate("3.pem").contains(NOTE), "they were refused before");

    let place = Place::new();
    let generate = |file: &str| {
        said(&place.run(&["keys", "generate", "--account", "acme", "--out", file, "--key-id", file]))
    };
    assert!(!generate("a").contains(NOTE));
    place.succeeds(&["keys", "revoke", "a"]);
    assert!(!generate("b").contains(NOTE), "a revoked key is not active");
    let pem = super::public_pem();
    let expired = json!({ "Key": {
        "Account": "acme", "KeyID": "expired", "Algorithm": "ES384", "PublicKey": pem,
        "Created": "2026-01-31T12:00:00Z", "Expires": "2026-01-31T12:00:01Z"
    } });
    fs::write(place.file("expired.ndjson"), expired.to_string()).unwrap();
    place.succeeds(&["import", "expired.ndjson", "--allow-incomplete"]);
    place.succeeds(&["keys", "revoke", "b"]);
    assert!(!generate("d").contains(NOTE), "neither is an expired one");
    assert!(generate("e").contains(NOTE));
}

#[test]
fn it_is_said_how_to_sign_with_a_key_that_has_an_id_of_its_own() {
    let place = Place::new();
    let generate = |arguments: &[&str]| {
        said(&place.run(&[&["keys", "generate", "--account", "acme"], arguments].concat()))
    };
    assert!(generate(&["--out", "1.pem", "--key-id", "acme-2026"]).contains("sign --key-id acme-2026"));
    assert!(!generate(&["--out", "2.pem"]).contains("sign --key-id"));
}

#[test]
fn a_new_database_is_not_made_silently() {
    let place = Place::new();
    let generate = |file: &str| said(&place.run(&["keys", "generate", "--account", "acme", "--out", file]));
    assert!(generate("1.pem").contains("sqlite:customers.db is a new database"));
    assert!(!generate("2.pem").contains("new database"));
}

#[test]
fn an_id_works_in_every_command_as_it_is() {
    let place = Place::new();
    fs::write(place.file("public.pem"), super::public_pem()).unwrap();
    let key = PrivateKey::generate(Algorithm::Es384).unwrap();
    fs::write(place.file("private.pem"), key.to_pem()).unwrap();
    // base64url has 64 characters, so a thumbprint may begin with any of them.
    let thumbprint = key.thumbprint().unwrap();
    for first in ["-", "--", "-h", "-V", "---", "_", "-1", "--a"] {
        // The point keeps the ids apart, whatever the thumbprint is.
        let key_id = format!("{first}.{}", &thumbprint[first.len() + 1..]);
        an_id_works(&place, &key_id);
    }
    for key_id in
        ["-1", "-abc", "--abc", "a=b", "--abc=d", "$HOME", "a'b\"c\\d", "*", "~", "a,b", "#", "%41", "@file"]
    {
        an_id_works(&place, key_id);
    }
}

fn an_id_works(place: &Place, key_id: &str) {
    let added = place.succeeds(&[
        "keys",
        "add",
        "--account",
        "-acme",
        "--public-key",
        "public.pem",
        "--key-id",
        key_id,
    ]);
    assert_eq!(added, format!("registered {key_id} (ES384) for the account -acme\n"));
    assert!(place.succeeds(&["keys", "list"]).lines().any(|line| line.split(' ').next() == Some(key_id)));
    let token = place.succeeds(&["sign", "GET", "/", "--key", "private.pem", "--key-id", key_id]);
    assert_eq!(kid(&token), key_id);
    assert_eq!(place.succeeds(&["keys", "revoke", key_id]), format!("revoked {key_id}\n"));
}

#[test]
fn a_key_that_is_generated_can_be_revoked_whatever_its_thumbprint_begins_with() {
    let place = Place::new();
    for number in 0..8 {
        let file = format!("{number}.pem");
        let registered = place.succeeds(&["keys", "generate", "--account", "acme", "--out", &file]);
        place.succeeds(&["keys", "revoke", registered.split(' ').nth(1).unwrap()]);
    }
}

#[test]
fn a_key_and_a_body_are_read_from_standard_input_if_they_are_named_so() {
    let place = Place::new();
    place.succeeds(&["keys", "generate", "--account", "acme", "--out", "private.pem"]);
    fs::write(place.file("body.json"), "{}").unwrap();
    let private = fs::read_to_string(place.file("private.pem")).unwrap();
    let public = super::public_pem();
    for (arguments, input) in [
        (&["sign", "PUT", "/", "--key", "-", "--body", "body.json"][..], private.as_str()),
        (&["sign", "PUT", "/", "--key", "private.pem", "--body", "-"], "{}"),
        (&["keys", "add", "--account", "acme", "--public-key", "-"], public.as_str()),
    ] {
        let mut child = command()
            .args(arguments)
            .current_dir(place.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(!place.files().contains(&"-".to_owned()));
}
