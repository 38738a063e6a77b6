//! What a signal does to a command that waits. The first process of a container ignores a signal unless it asks for it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{Place, arguments::leaves};
use crate::support::command;

/// Where nobody listens.
const NOWHERE: &str = "postgres://customers@127.0.0.1:1/customers";

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// How to call a command that opens the database.
fn call(words: &[String]) -> Option<Vec<&str>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let more: &[&str] = match words.as_slice() {
        // These open none, or only one that is a file.
        ["sign" | "openapi" | "backup" | "healthcheck"] | ["seal", "generate-key"] => return None,
        ["keys", "generate"] => &["--account", "acme", "--out", "private.pem"],
        ["keys", "add"] => &["--account", "acme", "--public-key", "public.pem"],
        ["keys", "revoke"] => &["k-1"],
        ["import"] => &["lines"],
        ["serve"] => &["--listen", "127.0.0.1:0"],
        ["webhooks", "add"] => &["--account", "acme", "--url", "https://example.com/hook"],
        ["webhooks", "list"] => &[],
        ["webhooks", "replay"] => &["k1", "--from", "1"],
        ["webhooks", _] => &["k1"],
        _ => &[],
    };
    Some([&words, more].concat())
}

#[test]
fn a_command_that_waits_for_the_database_ends_at_a_signal() {
    let place = Place::new();
    std::fs::write(place.file("lines"), "").unwrap();
    std::fs::write(place.file("public.pem"), super::public_pem()).unwrap();
    let mut called = 0;
    for (words, _) in leaves() {
        let Some(line) = call(&words) else { continue };
        for name in ["-TERM", "-INT"] {
            let mut child = command()
                .args(&line)
                .args(["--database-url", NOWHERE, "--database-wait", "600"])
                .current_dir(place.0.path())
                .stdin(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = BufReader::new(child.stderr.take().unwrap());
            let mut first = String::new();
            said.read_line(&mut first).unwrap();
            assert!(first.contains("waiting for postgres://127.0.0.1:1/customers"), "{line:?}: {first}");
            signal(&child, name);
            let status = child.wait().unwrap();
            let mut last = String::new();
            said.read_to_string(&mut last).unwrap();
            let (code, text) = if line[0] == "serve" {
                (0, "stopped before the service was ready")
            } else {
                (1, "error: interrupted")
            };
            assert_eq!(status.code(), Some(code), "{line:?}: {last}");
            assert!(last.lines().last().is_some_and(|last| last.contains(text)), "{line:?}: {last}");
            called += 1;
        }
    }
    assert_eq!(called, 2 * 20);
}

#[test]
fn a_command_that_waits_for_its_input_ends_at_a_signal() {
    let place = Place::new();
    for line in [
        &["import"][..],
        &["sign", "GET", "/", "--key", "-"],
        &["keys", "add", "--account", "a", "--public-key", "-"],
    ] {
        let mut child = command()
            .args(line)
            .current_dir(place.0.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // To wait for the end would close it.
        let _input = child.stdin.take();
        let caught = format!("/proc/{}/status", child.id());
        let catches = || {
            let status = std::fs::read_to_string(&caught).unwrap();
            let mask =
                status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
            u64::from_str_radix(&mask, 16).unwrap() & (1 << 14) != 0
        };
        while !catches() {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&child, "-TERM");
        let status = child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(1), "{line:?}: {said}");
        assert_eq!(said, "error: interrupted by a signal\n", "{line:?}");
    }
}

#[test]
fn a_service_that_nohup_has_started_ignores_a_hangup() {
    let place = Place::new();
    let mut child = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_customers-api"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", &place.database_url()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("is ready"), "{line}");
    signal(&child, "-HUP");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1, 1, "it is ignored still");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
