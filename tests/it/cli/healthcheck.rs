//! `healthcheck`: one line, and an exit code that says whether the service is ready.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use super::Place;
use crate::support::{Service, certify, command};

/// Runs the command with these variables. Returns the exit code, and the line.
fn asked(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut healthcheck = command();
    healthcheck.arg("healthcheck").args(arguments).envs(variables.iter().copied());
    let output = healthcheck.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    (output.status.code(), said.trim_end().to_owned())
}

#[test]
fn it_asks_a_service_by_the_variables_of_the_service() {
    let place = Place::new();
    certify(place.0.path(), "server", &[]);
    let file = |name: &str| place.file(name).to_str().unwrap().to_owned();
    fs::set_permissions(place.file("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let (certificate, key) = (file("server.crt"), file("server.key"));
    let https = [("CUSTOMERS_TLS_CERT", certificate.as_str()), ("CUSTOMERS_TLS_KEY", key.as_str())];
    let base = [("CUSTOMERS_BASE_PATH", "/api/v1")];
    for (scheme, path, variables) in [
        ("http", "/readyz", &[][..]),
        ("http", "/api/v1/readyz", &base),
        ("https", "/readyz", &https),
        ("https", "/api/v1/readyz", &[https[0], https[1], base[0]]),
    ] {
        let listen = ["--admin-listen", "127.0.0.1:0"];
        let log = place.file("log");
        let service = Service::start_with(&place.database_url(), &log, &listen, variables);
        let address = service.address.as_str();
        let with_address = [variables, &[("CUSTOMERS_LISTEN", address)]].concat();
        let says = format!("{scheme}://{address}{path} answers with status 204");
        assert_eq!(asked(&[], &with_address), (Some(0), says));

        let admin = service.admin.as_deref().unwrap();
        let says = format!("http://{admin}/readyz answers with status 204");
        let with_admin = [&with_address[..], &[("CUSTOMERS_ADMIN_LISTEN", admin)]].concat();
        assert_eq!(asked(&[], &with_admin), (Some(0), says));

        let anywhere = address.replace("127.0.0.1", "0.0.0.0");
        assert_eq!(asked(&["--listen", &anywhere], variables).0, Some(0));
        let url = format!("{scheme}://{address}/nowhere");
        assert_eq!(asked(&["--url", &url], &[]), (Some(1), format!("error: {url} answers with status 404")));
    }
}

#[test]
fn a_service_that_is_not_ready_or_not_there_is_a_failure() {
    let place = Place::new();
    let service = Service::start(&place.database_url(), &place.file("log"), &[]);
    let address = service.address.clone();
    fs::rename(place.file("customers.db"), place.file("aside.db")).unwrap();
    let says = format!("error: http://{address}/readyz answers with status 503");
    assert_eq!(asked(&["--listen", &address], &[]), (Some(1), says));
    service.signal("-KILL");
    service.wait();
    let (code, says) = asked(&["--listen", &address], &[("http_proxy", "http://127.0.0.1:1")]);
    assert_eq!(code, Some(1));
    assert!(says.starts_with(&format!("error: no answer from http://{address}/readyz: ")), "{says}");
}

#[test]
fn a_service_that_hangs_is_a_failure_soon() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let (code, says) = asked(&["--listen", &silent.local_addr().unwrap().to_string()], &[]);
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("timeout"), "{says}");
    // It is 2 seconds on a machine that has time.
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_cannot_be_asked_is_misuse_or_said() {
    let (code, says) = asked(&["--listen", "127.0.0.1:0"], &[]);
    assert_eq!(code, Some(1));
    assert!(says.contains("give --url"), "{says}");
    for url in ["127.0.0.1:8080", "ftp://127.0.0.1/", "http://user:hunter2@127.0.0.1/"] {
        let output = command().args(["healthcheck", "--url", url]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
