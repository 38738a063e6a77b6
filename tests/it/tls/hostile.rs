//! What a client of HTTP/2 may do: frames that carry nothing, answers that it does not take, requests beyond what is served
//! at a time.

use futures_util::future::{join, join_all};
use h2::client::Builder;
use tokio::{
    io::{AsyncWriteExt as _, split},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{
    Place,
    client::{connect, read},
    http2::{DATA, GOAWAY, HEADERS, LIMIT, SETTINGS, begin_raw, next_frame},
};
use crate::support::Service;

/// The end of a head, and the end of a stream (RFC 9113, 6.2).
const END_HEADERS: u8 = 4;

const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// Far more than the server may keep of them.
const FRAMES: usize = 100_000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GET of https with this path (RFC 7541, appendix A), whose body is still to come.
fn get(stream: u32, path: &str) -> Vec<u8> {
    let head = [&[0x82, 0x87, 0x04, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat();
    frame(HEADERS, END_HEADERS, stream, &head)
}

/// Sends frames until the server has closed the connection. Returns how it said goodbye.
async fn flood(stream: TlsStream<TcpStream>, frame: Vec<u8>) -> Option<Vec<u8>> {
    let (mut reader, mut writer) = split(stream);
    let goodbye = async {
        let mut goodbye = None;
        while let Some(frame) = next_frame(&mut reader).await {
            if frame.kind == GOAWAY {
                goodbye = Some(frame.payload[4..8].to_vec());
            }
        }
        goodbye
    };
    let send = async {
        for _ in 0..FRAMES / 100 {
            if writer.write_all(&frame.repeat(100)).await.is_err() {
                break;
            }
        }
    };
    timeout(LIMIT, join(goodbye, send)).await.expect("the server closes the connection in time").0
}

#[actix_web::test]
async fn a_client_that_sends_frames_without_content_is_told_to_calm_down() {
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    let floods = [
        ("empty", frame(DATA, 0, 1, b"")),
        ("a byte each", frame(DATA, 0, 1, b" ")),
        // Padding of 100 bytes, and a byte of content.
        ("padding", frame(DATA, 8, 1, &[&[100, b' '][..], &[0; 100]].concat())),
    ];
    for (what, flood_frame) in floods {
        // No answer may leave, so that the handler does not look at the body.
        let mut stream = begin_raw(&place, &service).await;
        stream.write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
        stream.write_all(&get(1, "/openapi.json")).await.unwrap();
        let before = peak_memory(&service);
        let goodbye = flood(stream, flood_frame).await;
        assert!(goodbye.is_none_or(|reason| reason == ENHANCE_YOUR_CALM), "{what}");
        let more = peak_memory(&service) - before;
        assert!(more < 8 * 1024 * 1024, "{what}: {more} bytes more");
    }
    assert!(!place.log().contains("ERROR"), "{}", place.log());
}

/// The largest amount of memory that the process ever occupied, in bytes.
fn peak_memory(service: &Service) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[actix_web::test]
async fn a_client_that_begins_with_a_hundred_requests_at_once_gets_all_answers() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--workers", "1"]);
    let stream = connect(place.path(), &service.address, "h2").await;
    // Before the server has said how many it takes.
    let (send, connection) = Builder::new()
        .initial_max_send_streams(100)
        .handshake::<_, actix_web::web::Bytes>(stream)
        .await
        .unwrap();
    let connection = tokio::task::spawn(connection);
    let answers = (0..100).map(|number| {
        let has_body = number % 2 == 0;
        let method = if has_body { "PUT" } else { "GET" };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://localhost/customers/c-{number}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let (answer, mut body) = send.clone().send_request(request, !has_body).unwrap();
        if has_body {
            // Too many bytes for the window that all requests share.
            let customer = crate::support::mia().to_string() + &" ".repeat(8 * 1024);
            body.send_data(customer.into(), true).unwrap();
        }
        async move {
            let answer = answer.await.unwrap();
            let status = answer.status().as_u16();
            read(answer.into_body()).await;
            (number, status)
        }
    });
    for (number, status) in join_all(answers).await {
        assert_eq!(status, if number % 2 == 0 { 201 } else { 404 }, "{number}");
    }
    connection.abort();
}
