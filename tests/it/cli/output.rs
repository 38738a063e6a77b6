//! How each command ends if standard output cannot be written.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::TcpListener,
    process::Stdio,
    thread,
};

use super::{Place, arguments::leaves};
use crate::support::command;

/// Stands for the id of an endpoint.
const ENDPOINT: &str = "ENDPOINT";

const ADD_ENDPOINT: &[&str] = &[
    "webhooks",
    "add",
    "--account",
    "acme",
    "--url",
    "http://127.0.0.1:1/",
    "--webhook-allow",
    "127.0.0.1",
    "--seal-keys",
    "seal-keys",
];

/// How each command is called, in a folder with a database, a key pair, an id that can be revoked, and an endpoint if one is named.
const CALLS: [&[&str]; 27] = [
    &["--help"],
    &["--version"],
    &["serve", "--help"],
    &["migrate"],
    &["keys", "generate", "--account", "acme", "--out", "new.pem"],
    &["keys", "add", "--account", "acme", "--public-key", "public.pem"],
    &["keys", "list"],
    &["keys", "revoke", "k-1"],
    &["sign", "GET", "/customers", "--key", "private.pem"],
    &["openapi"],
    &["verify"],
    &["events", "--help"],
    &["seal", "generate-key"],
    &["seal", "status"],
    &["seal", "apply", "--seal-keys", "seal-keys"],
    &["backup", "backup.db"],
    &["export"],
    &["import", "--allow-incomplete"],
    &["healthcheck"],
    ADD_ENDPOINT,
    &["webhooks", "list"],
    &["webhooks", "test", "--help"],
    &["webhooks", "rotate-secret", ENDPOINT, "--seal-keys", "seal-keys"],
    &["webhooks", "pause", ENDPOINT],
    &["webhooks", "resume", ENDPOINT],
    &["webhooks", "replay", "--help"],
    &["webhooks", "remove", ENDPOINT],
];

/// Runs a command in a new folder. Returns its exit code and what it says on standard error.
fn run(arguments: &[&str], stdout: Stdio) -> (Option<i32>, String) {
    let place = Place::new();
    place.succeeds(&["keys", "generate", "--account", "acme", "--out", "private.pem", "--key-id", "k-1"]);
    std::fs::write(place.file("public.pem"), super::public_pem()).unwrap();
    place.seal_keys();
    let added = if arguments.contains(&ENDPOINT) { place.succeeds(ADD_ENDPOINT) } else { String::new() };
    let endpoint = added.split(' ').next().unwrap();
    let mut command = command();
    command.args(arguments.iter().map(|word| if *word == ENDPOINT { endpoint } else { word }));
    command.current_dir(place.0.path()).stdin(Stdio::null()).stdout(stdout);
    if arguments == ["healthcheck"] {
        command.env("CUSTOMERS_HEALTHCHECK_URL", ready());
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The URL of a service that says once that it is ready.
fn ready() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        assert!(client.read(&mut [0; 1024]).unwrap() > 0);
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    url
}

#[test]
fn every_command_is_called() {
    for (words, _) in leaves() {
        let is_called =
            CALLS.iter().any(|call| call.starts_with(&words.iter().map(String::as_str).collect::<Vec<_>>()));
        assert!(is_called, "say in CALLS how to call {words:?}");
    }
}

#[test]
fn a_command_succeeds_if_the_reader_of_its_output_went_away() {
    for call in CALLS {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (code, said) = run(call, Stdio::from(writer));
        assert_eq!(code, Some(0), "{call:?}: {said}");
        assert!(!said.contains("error"), "{call:?}: {said}");
    }
}

#[test]
fn a_command_fails_in_one_line_if_its_output_cannot_be_written() {
    for call in CALLS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = run(call, Stdio::from(full));
        assert_eq!(code, Some(1), "{call:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{call:?}: {said}");
        assert!(
            said.contains("cannot write to standard output: No space left on device"),
            "{call:?}: {said}"
        );
    }
}

#[test]
fn a_change_that_was_made_is_told_even_if_standard_output_cannot_be_written() {
    for (call, done) in [
        (CALLS[3], "customers.db is up to date"),
        (CALLS[5], "registered "),
        (CALLS[7], "revoked k-1"),
        (CALLS[19], "added the endpoint "),
        (CALLS[22], "a new secret signs, "),
        (CALLS[23], "paused "),
        (CALLS[24], "resumed "),
        (CALLS[26], "removed "),
    ] {
        let (_, said) = run(call, Stdio::from(File::options().write(true).open("/dev/full").unwrap()));
        assert!(said.starts_with("error: ") && said.contains(done), "{call:?}: {said}");
        assert!(!said.contains("whsec_"), "no error has a secret: {said}");
    }
}

#[test]
fn misuse_and_failure_exit_alike_if_standard_error_cannot_be_written() {
    let place = Place::new();
    for (arguments, code) in [(&["keys"][..], 2), (&["keys", "list"], 1), (&["serve", "--log", "loud"], 2)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status =
            command().args(arguments).current_dir(place.0.path()).stderr(Stdio::from(full)).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}
