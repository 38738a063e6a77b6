//! What the service logs at the default level.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use customers_api::api::BODY_BYTES_MAX;
use serde_json::Value;

use super::Place;
use crate::support::Service;

/// Bytes that are not a request, or not a whole one.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let head = |rest: &str| format!("PUT /customers/c-1 HTTP/1.1\r\nHost: test\r\n{rest}\r\n").into_bytes();
    vec![
        ("no bytes", Vec::new()),
        ("every byte", (0..=u8::MAX).collect()),
        ("zeros", vec![0; 4096]),
        ("a line of text", b"hello\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec()),
        ("HTTP/9", b"GET / HTTP/9.9\r\nHost: test\r\n\r\n".to_vec()),
        ("no host", b"GET /livez HTTP/1.1\r\n\r\n".to_vec()),
        ("a header without a colon", head("nonsense\r\n")),
        ("a header of NUL", head("X: a\0b\r\n")),
        ("a length that is not a number", head("Content-Length: -1\r\n")),
        ("two lengths", head("Content-Length: 1\r\nContent-Length: 2\r\n")),
        ("a length and chunks", head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")),
        ("an unknown coding", head("Transfer-Encoding: gzip\r\n")),
        ("bad chunks", [head("Transfer-Encoding: chunked\r\n"), b"zz\r\n".to_vec()].concat()),
        (
            "an endless chunk",
            [head("Transfer-Encoding: chunked\r\n"), b"ffffffffffffffffff\r\n".to_vec()].concat(),
        ),
        ("half a body", [head("Content-Length: 100\r\n"), b"{".to_vec()].concat()),
        ("a head that is too large", head(&format!("X: {}\r\n", "a".repeat(300_000)))),
        ("too many headers", head(&"X: a\r\n".repeat(500))),
        ("a head that never ends", [b"GET /".as_slice(), &[b'a'; 300_000]].concat()),
        (
            "a body that is too large",
            [head(&format!("Content-Length: {}\r\n", BODY_BYTES_MAX + 1)), vec![b' '; 70_000]].concat(),
        ),
        ("an unknown expectation", head("Expect: tea\r\nContent-Length: 1\r\n")),
        ("an upgrade", head("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
        ("a path that is not valid", b"GET /customers/%zz HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()),
    ]
}

/// Sends bytes, and reads until the service has nothing more to say.
fn send(service: &Service, bytes: &[u8]) {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    // The service may close the connection before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn what_a_client_sends_wrong_is_not_logged_as_an_error() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--log-format", "json"]);
    for (name, bytes) in garbage() {
        let before = place.log().len();
        send(&service, &bytes);
        let log = place.log();
        assert!(!log[before..].contains("ERROR"), "{name}: {}", &log[before..]);
    }
    service.signal("-TERM");
    assert!(service.wait().success());
    let log = place.log();
    assert!(!log.contains("ERROR") && !log.contains("panic"), "{log}");
}

#[test]
fn the_start_is_one_line_and_the_stop_another() {
    let place = Place::new();
    let seal_keys = place.seal_keys();
    let service = place.start(&["--base-path", "/api", "--log-format", "json", "--seal-keys", &seal_keys]);
    let address = service.address.clone();
    service.signal("-TERM");
    assert!(service.wait().success());

    let log = place.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let [start, stop] = &messages[..] else { panic!("two lines: {log}") };
    assert_eq!(*start, "listening");
    assert!(stop.starts_with("stopping"), "{stop}");
    assert_eq!(lines[0]["address"], address);
    assert_eq!(lines[0]["base_path"], "/api");
    assert_eq!(lines[0]["engine"], "sqlite");
    assert_eq!(lines[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(lines[0]["sandbox"], false);
}

#[test]
fn a_part_that_is_asked_for_is_logged() {
    let place = Place::new();
    let service = place.start(&["--log", "off,actix_server=info"]);
    service.signal("-TERM");
    assert!(service.wait().success());
    assert!(place.log().contains("starting"), "{}", place.log());
    assert!(!place.log().contains("engine="), "{}", place.log());
}

#[test]
fn the_service_runs_if_nobody_reads_what_it_prints() {
    for is_full in [false, true] {
        let place = Place::new();
        let service = Service::start_unheard(&place.database_url(), &place.file("log"), is_full);
        send(&service, b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n");
        service.signal("-TERM");
        assert!(service.wait().success(), "{}", place.log());
        assert_eq!(place.log().matches("was not printed").count(), usize::from(is_full), "{}", place.log());
    }
}

#[test]
fn the_service_listens_on_a_host_by_its_name() {
    let place = Place::new();
    let service = place.start(&["--listen", "localhost:0"]);
    assert!(
        service.address.starts_with("127.0.0.1:") || service.address.starts_with("[::1]:"),
        "{}",
        service.address
    );
    let error = place.fails(1, &["serve", "--listen", "no-such-host.invalid:0"]);
    assert!(error.starts_with("error: cannot listen on no-such-host.invalid:0: "), "{error}");
}
