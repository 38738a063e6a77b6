//! Headers that ask for what this service does not do: they are ignored or refused at once, and nobody waits.
//!
//! A request that waits for what never comes is refused in the end, so that its status tells.

use crate::support::{Engine, RawAnswer, TestApi, mia, on_each_engine};

/// The head of a request, with some headers.
fn head(line: &str, headers: &[&str]) -> String {
    let line = format!("{line} HTTP/1.1");
    [&[line.as_str(), "Host: test"], headers, &["", ""]].concat().join("\r\n")
}

/// The headers that a PUT needs.
fn put_headers(body: &str) -> [String; 2] {
    ["Content-Type: application/json".to_owned(), format!("Content-Length: {}", body.len())]
}

/// The head of `PUT /customers/c-1`, with some headers.
fn put_head(body: &str, more: &[&str]) -> String {
    let needed = put_headers(body);
    let needed = needed.iter().map(String::as_str);
    head("PUT /customers/c-1", &needed.chain(more.iter().copied()).collect::<Vec<_>>())
}

#[track_caller]
fn offers_no_upgrade(answer: &RawAnswer, reason: &[&str]) {
    assert!(!answer.headers.contains_key("upgrade"), "{reason:?}");
    let connection = answer.headers.get("connection").map_or("", String::as_str);
    assert!(["", "close"].contains(&connection), "{reason:?}: {connection}");
}

const UPGRADES: [&[&str]; 10] = [
    &["Connection: Upgrade", "Upgrade: websocket"],
    &["Upgrade: websocket"],
    &[
        "Connection: keep-alive, Upgrade",
        "Upgrade: WebSocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AA==",
    ],
    &["Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"],
    &["Connection: upgrade", "Upgrade: websocket, h2c"],
    &["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
    &["Connection: upgrade", "Upgrade: TLS/1.2"],
    &["Connection: upgrade"],
    &["Upgrade: h2c"],
    &["Connection: close, upgrade", "Upgrade: websocket"],
];

async fn an_upgrade_is_ignored(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let body = mia().to_string();
    api.put("c-1", &mia()).unsigned().send().await.expect(201);
    for upgrade in UPGRADES {
        for line in ["GET /customers/c-1", "GET /customers", "GET /openapi.json", "GET /swagger-ui/"] {
            let mut client = api.connect().await;
            client.send(&head(line, upgrade)).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{line} {upgrade:?}: {}", answer.body);
            offers_no_upgrade(&answer, upgrade);
        }
        let (first, second) = body.split_at(body.len() / 2);
        // What follows the body is not taken for a part of it.
        for parts in [vec![body.as_str()], vec![first, second], vec![first, second, "GET / HTTP/1.1\r\n"]] {
            let mut client = api.connect().await;
            client.send(&put_head(&body, upgrade)).await;
            for part in parts {
                client.send(part).await;
            }
            let answer = client.answer().await;
            assert_eq!(answer.status, 204, "{upgrade:?}: {}", answer.body);
            offers_no_upgrade(&answer, upgrade);
        }
        let mut client = api.connect().await;
        let chunked =
            [&["Content-Type: application/json", "Transfer-Encoding: chunked"][..], upgrade].concat();
        let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
        client.send(&(head("PUT /customers/c-1", &chunked) + &chunks)).await;
        assert_eq!(client.answer().await.status, 204, "{upgrade:?}");
    }
}

async fn a_connection_whose_upgrade_was_ignored_is_closed_as_announced(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    for upgrade in UPGRADES {
        let mut client = api.connect().await;
        client.send(&head("GET /livez", upgrade)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 204);
        if answer.headers.contains_key("connection") {
            assert_eq!(client.rest().await, "", "{upgrade:?}");
        } else {
            client.send(&head("GET /livez", &[])).await;
            assert_eq!(client.answer().await.status, 204, "it stays open: {upgrade:?}");
        }
    }
}

async fn a_large_body_is_refused_also_with_an_upgrade(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let mut client = api.connect().await;
    let headers = ["Content-Length: 1048577", "Connection: upgrade", "Upgrade: websocket"];
    client.send(&head("PUT /customers/c-1", &headers)).await;
    assert_eq!(client.answer().await.status, 413);
}

async fn an_unknown_expectation_is_refused_before_the_body_is_sent(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let body = mia().to_string();
    for expectation in ["103-early", "100-continue; x=1", "100-continue2", "a=\"100-continue\"", "X, Y"] {
        let mut client = api.connect().await;
        client.send(&put_head(&body, &[&format!("Expect: {expectation}")])).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{expectation}");
        assert!(answer.body.contains("\"Field\":\"Expect\""), "{expectation}: {}", answer.body);
    }
    let mut client = api.connect().await;
    client.send(&put_head(&body, &["Expect: 100-continue", "Expect: 103-early"])).await;
    assert_eq!(client.answer().await.status, 100);
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(api.get("c-1").unsigned().send().await.status, 404, "nothing was done");
}

async fn a_client_that_expects_100_continue_gets_it(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let body = mia().to_string();
    for (expectation, status) in [("100-continue", 201), ("100-Continue", 204), (" , 100-continue,", 204)] {
        let mut client = api.connect().await;
        client.send(&put_head(&body, &[&format!("Expect: {expectation}")])).await;
        assert_eq!(client.answer().await.status, 100, "{expectation}");
        client.send(&body).await;
        assert_eq!(client.answer().await.status, status, "{expectation}");
    }
    let mut client = api.connect().await;
    client.send(&put_head(&body, &["Expect:"])).await;
    client.send(&body).await;
    assert_eq!(client.answer().await.status, 204, "an empty one asks for nothing");

    let mut client = api.connect().await;
    let old = put_head(&body, &["Expect: 100-continue, 103-early"]).replacen("HTTP/1.1", "HTTP/1.0", 1);
    client.send(&(old + &body)).await;
    assert_eq!(client.answer().await.status, 204, "HTTP/1.0 has no expectations (RFC 9110, 10.1.1)");
}

async fn other_wishes_are_ignored(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let body = mia().to_string();
    api.put("c-1", &mia()).unsigned().send().await.expect(201);
    let whole = api.get("c-1").unsigned().send().await.expect(200).body;
    for header in [
        "TE: trailers",
        "TE: gzip;q=1, deflate",
        "Trailer: X-Sum",
        "Range: bytes=0-3",
        "Range: bytes=1000-",
        "If-Range: \"a\"\r\nRange: bytes=0-3",
        "Keep-Alive: timeout=1",
        "Proxy-Connection: keep-alive",
        "Connection: te, x-unknown",
        "Connection:",
        "Max-Forwards: 0",
        "Via: 1.1 proxy",
        "Accept: text/html",
        "Accept-Encoding: gzip, br",
        "Accept-Language: de",
        "Prefer: return=representation, wait=10",
    ] {
        let mut client = api.connect().await;
        client.send(&head("GET /customers/c-1", &[header])).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_bytes()), (200, whole.as_slice()), "{header}");
        client.send(&(put_head(&body, &[header]) + &body)).await;
        assert_eq!(client.answer().await.status, 204, "on the same connection: {header}");
    }
}

async fn an_unknown_transfer_coding_is_refused(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    for coding in ["gzip", "identity", "gzip, chunked", "chunked, gzip", "x"] {
        for line in ["GET /customers/c-1", "PUT /customers/c-1"] {
            let mut client = api.connect().await;
            client.send(&head(line, &[&format!("Transfer-Encoding: {coding}")])).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 400, "{line} {coding}");
            assert_eq!(answer.headers["connection"], "close", "{line} {coding}");
        }
    }
}

on_each_engine! {
    an_upgrade_is_ignored,
    a_connection_whose_upgrade_was_ignored_is_closed_as_announced,
    a_large_body_is_refused_also_with_an_upgrade,
    an_unknown_expectation_is_refused_before_the_body_is_sent,
    a_client_that_expects_100_continue_gets_it,
    other_wishes_are_ignored,
    an_unknown_transfer_coding_is_refused,
}
