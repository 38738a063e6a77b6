//! What is sent, and what an answer means, however it comes.

use customers_api::webhooks::{Client, ClientSettings as Settings, FailureKind, Message, Target};

use super::receiver::{ACCEPTED, Receiver, Reply, allowed, client, impatient, patient, send_to};
use crate::ports::reserved_port;

#[actix_web::test]
async fn a_request_has_the_headers_of_standard_webhooks_and_the_body_as_it_is() {
    let receiver = Receiver::start(&[ACCEPTED]).await;
    let body = r#"{"CustomerID":"Käthe"}"#;
    let message = Message {
        id: "5f2b0c6e9d1a4f7383c1e0b7a6d5940e".to_owned(),
        timestamp: 1_614_265_330,
        body: body.into(),
        signatures: "v1,abc= v1,def=".to_owned(),
    };
    client().send(&receiver.target("/hook/ü?a=b%20c"), &message).await.unwrap();

    let requests = receiver.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(sent, body);
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /hook/%C3%BC?a=b%20c HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", receiver.address);
    let length = format!("content-length: {}", body.len());
    let sender = format!("user-agent: customers-api/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        [
            &length,
            "content-type: application/json",
            &host,
            &sender,
            "webhook-id: 5f2b0c6e9d1a4f7383c1e0b7a6d5940e",
            "webhook-signature: v1,abc= v1,def=",
            "webhook-timestamp: 1614265330",
        ]
    );
}

/// The result of one request: nothing, or the kind of the failure, and the seconds to wait.
async fn result(settings: Settings, replies: &'static [Reply]) -> Option<(String, Option<u64>)> {
    let receiver = Receiver::start(replies).await;
    let client = Client::with(allowed(&["127.0.0.1"]), settings).unwrap();
    let failure = send_to(&client, &receiver.target("/")).await.err()?;
    Some((failure.kind.to_string(), failure.retry_after.map(|wait| wait.as_secs())))
}

#[actix_web::test]
async fn a_complete_head_says_whether_the_request_is_accepted() {
    for (replies, expected) in [
        (&[ACCEPTED][..], None),
        (&[Reply::Last("HTTP/1.1 204 No Content\r\n\r\n")], None),
        (&[Reply::Last("HTTP/1.0 200 OK\r\n\r\n")], None),
        (
            &[Reply::Last("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")],
            None,
        ),
        (
            &[Reply::Text("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
            None,
        ),
        (&[Reply::Last("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")], Some(("410", None))),
        (&[Reply::Last("HTTP/1.1 500 Oh\r\nRetry-After: 7\r\n\r\n")], Some(("500", None))),
        (&[Reply::Last("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n")], Some(("429", Some(7)))),
        (&[Reply::Last("HTTP/1.1 503 Off\r\nretry-after:  70 \r\n\r\n")], Some(("503", Some(70)))),
        (
            &[Reply::Last("HTTP/1.1 429 Slow\r\nRetry-After: Wed, 21 Oct 2065 07:28:00 GMT\r\n\r\n")],
            Some(("429", Some(12 * 60 * 60))),
        ),
        (&[Reply::Last("HTTP/1.1 429 Slow\r\nRetry-After: soon\r\n\r\n")], Some(("429", None))),
        (&[Reply::Last("HTTP/1.1 429 Slow\r\nRetry-After: \u{fffd}\r\n\r\n")], Some(("429", None))),
        (&[Reply::Last("")], Some(("closed", None))),
        (&[Reply::Last("HTTP/1.1 200 OK\r\nContent-Le")], Some(("closed", None))),
        (&[Reply::Last("SSH-2.0-OpenSSH_9.2\r\n")], Some(("protocol", None))),
        (&[Reply::Last("HTTP/2 200 OK\r\n\r\n")], Some(("protocol", None))),
        (&[Reply::Last("HTTP/1.1 200 OK\r\nno header\r\n\r\n")], Some(("protocol", None))),
    ] {
        let expected = expected.map(|(kind, wait)| (kind.to_owned(), wait));
        assert_eq!(result(patient(), replies).await, expected, "{replies:?}");
    }
}

#[actix_web::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let receiver = Receiver::start(&[
        Reply::Text("HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
        Reply::Text("HTTP/1.1 307 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"),
    ])
    .await;
    let client = client();
    for status in [301, 307] {
        let failure = send_to(&client, &receiver.target("/")).await.unwrap_err();
        assert_eq!(failure, FailureKind::Status(status).into());
    }
    assert_eq!(receiver.requests().len(), 2);
}

#[actix_web::test]
async fn a_head_that_never_ends_is_refused_when_it_is_too_large() {
    for reply in [
        &[Reply::Endless("HTTP/1.1 200 OK\r\n", "a: b\r\n")],
        &[Reply::Endless("HTTP/1.1 200 OK\r\na: ", "bbbbbbbbbbbbbbbb")],
        &[Reply::Endless("HTTP/1.1 200 ", "OK")],
    ] {
        assert_eq!(result(patient(), reply).await, Some(("protocol".to_owned(), None)), "{reply:?}");
    }
}

#[actix_web::test]
async fn a_head_may_have_16_kib() {
    const LINES: &str = "HTTP/1.1 204 No Content\r\na: \r\n\r\n";
    for (bytes, expected) in [(16 * 1024 - 1, None), (16 * 1024 + 1, Some(("protocol".to_owned(), None)))] {
        let head = LINES.replace("a: ", &format!("a: {}", "b".repeat(bytes - LINES.len())));
        let replies = vec![Reply::Text(head.leak())].leak();
        assert_eq!(result(patient(), replies).await, expected, "{bytes}");
    }
}

#[actix_web::test]
async fn a_head_that_is_not_complete_in_time_is_a_failure() {
    for reply in [
        &[Reply::Text("")],
        &[Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")],
        &[Reply::Drips("HTTP/1.1 200 OK\r\na: ", "b")],
        &[Reply::Drips("", "HTTP/1.1 102 Processing\r\n\r\n")],
    ] {
        let receiver = Receiver::start(reply).await;
        let client = Client::with(allowed(&["127.0.0.1"]), impatient()).unwrap();
        let failure = send_to(&client, &receiver.target("/")).await.unwrap_err();
        assert_eq!(failure, FailureKind::Timeout.into(), "{reply:?}");
        receiver.ended(1).await;
    }
}

#[actix_web::test]
async fn a_body_that_does_not_end_changes_nothing_and_ends_the_connection() {
    for reply in [
        &[Reply::Endless("HTTP/1.1 200 OK\r\n\r\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
        &[Reply::Endless("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "aaaaaaaa")],
        &[Reply::Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n")],
        &[Reply::Text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense")],
        &[Reply::Drips("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n")],
        &[Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab")],
        &[Reply::Text("HTTP/1.1 200 OK\r\n\r\n")],
    ] {
        let (receiver, client) = (Receiver::start(reply).await, client());
        assert_eq!(send_to(&client, &receiver.target("/")).await, Ok(()), "{reply:?}");
        receiver.ended(1).await;
    }
}

#[actix_web::test]
async fn a_receiver_that_is_away_is_a_failure_to_connect() {
    let url = format!("http://127.0.0.1:{}/", reserved_port());
    let target = Target::parse(&url, &allowed(&["127.0.0.1"])).unwrap();
    assert_eq!(send_to(&client(), &target).await, Err(FailureKind::Connect.into()));
}
