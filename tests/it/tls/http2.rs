//! What HTTP/2 adds: many requests on one connection, resets, and the end of a connection.

use std::time::Duration;

use actix_web::rt;
use futures_util::future::join_all;
use h2::Reason;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{
    Place,
    client::{Http2, connect, read},
};
use crate::support::{Service, eventually, mia};

/// Far longer than anything here takes.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// The types of frames (RFC 9113, 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

/// A frame as it came over the connection.
pub(super) struct Frame {
    pub(super) kind: u8,
    flags: u8,
    pub(super) payload: Vec<u8>,
}

/// A connection on which HTTP/2 was begun.
pub(super) async fn begin_raw(place: &Place, service: &Service) -> TlsStream<TcpStream> {
    let mut stream = connect(place.path(), &service.address, "h2").await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream
}

/// The next frame; `None` at the end of the connection.
pub(super) async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.unwrap();
    Some(Frame { kind: head[3], flags: head[4], payload })
}

/// Waits for the end of the process.
async fn exit_code(service: Service) -> Option<i32> {
    let ended = timeout(LIMIT, rt::task::spawn_blocking(move || service.wait())).await;
    ended.expect("the process ends in time").unwrap().code()
}

#[actix_web::test]
async fn many_requests_share_a_connection() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--max-connections", "1"]);
    let client = Http2::connect(place.path(), &service.address).await;
    let body = mia().to_string();
    // From here on the client knows how many requests the server takes at a time, and sends no more.
    assert_eq!(client.send("GET", "/customers", "").await.0, 200);
    let put = |number: usize| {
        let (client, body) = (&client, &body);
        async move { client.send("PUT", &format!("/customers/c-{number}"), body).await.0 }
    };
    let statuses = join_all((0..200).map(put)).await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
}

#[actix_web::test]
async fn the_server_says_what_it_takes_at_a_time() {
    /// The names of settings (RFC 9113, 6.5.2).
    const STREAMS: u16 = 3;
    const HEADERS_BYTES: u16 = 6;
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    let mut stream = begin_raw(&place, &service).await;
    let Frame { kind, payload, .. } = next_frame(&mut stream).await.unwrap();
    assert_eq!(kind, SETTINGS);
    let setting = |name: u16| {
        let mut settings = payload.chunks_exact(6);
        let setting = settings.find(|setting| setting[..2] == name.to_be_bytes())?;
        Some(u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    assert_eq!(setting(STREAMS), Some(128));
    assert_eq!(setting(HEADERS_BYTES), Some(64 * 1024));
}

#[actix_web::test]
async fn headers_that_are_too_large_are_refused_alone() {
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    let client = Http2::connect(place.path(), &service.address).await;
    let request = http::Request::get("https://localhost/customers")
        .header("x-large", "a".repeat(70_000))
        .body(())
        .unwrap();
    let (answer, _) = client.send.clone().ready().await.unwrap().send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 431);
    assert_eq!(client.send("GET", "/customers", "").await.0, 200, "on the same connection");
}

#[actix_web::test]
async fn no_line_of_the_log_has_a_path_at_any_level() {
    const PATH: &[u8] = b"/customers/Mia Muster";
    let place = Place::new();
    let service = place.start(&["--sandbox", "--log", "trace"]);
    let mut stream = begin_raw(&place, &service).await;
    // GET of https, and a path that no URI has (RFC 7541, appendix A; RFC 9113, 6.2).
    let head = [&[0x82, 0x87, 0x04, u8::try_from(PATH.len()).unwrap()][..], PATH].concat();
    let frame = [&[0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, 1][..], &head].concat();
    stream.write_all(&frame).await.unwrap();
    loop {
        let Frame { kind, payload, .. } = next_frame(&mut stream).await.unwrap();
        if kind == RESET {
            assert_eq!(payload, [0, 0, 0, 1], "a protocol error");
            break;
        }
    }
    let client = Http2::connect(place.path(), &service.address).await;
    assert_eq!(client.send("PUT", "/customers/Muster", &mia().to_string()).await.0, 201);
    assert!(!place.log().contains("Muster"), "{}", place.log());
}

#[actix_web::test]
async fn a_body_may_be_refused_before_its_end() {
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    let client = Http2::connect(place.path(), &service.address).await;
    let request = http::Request::put("https://localhost/customers/c-1")
        .header("content-length", 1024 * 1024 + 1)
        .body(())
        .unwrap();
    let (answer, _stream) = client.send.clone().ready().await.unwrap().send_request(request, false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 413);
    assert!(String::from_utf8(read(answer.into_body()).await).unwrap().contains("larger than 1048576"));
    assert_eq!(client.send("GET", "/customers", "").await.0, 200, "on the same connection");
}

#[actix_web::test]
async fn a_request_that_is_reset_is_dropped_and_logged() {
    let place = Place::new();
    let service = place.start(&["--sandbox"]);
    let client = Http2::connect(place.path(), &service.address).await;
    let (_answer, mut stream) = client.begin("PUT", "/customers/c-1", true).await;
    stream.send_data(b"{".to_vec().into(), false).unwrap();
    assert_eq!(client.send("GET", "/customers/c-1", "").await.0, 404, "the server has seen the other one");
    stream.send_reset(Reason::CANCEL);
    eventually("its line", || async { place.log().contains("status=499") }).await;
    assert_eq!(client.send("GET", "/customers", "").await.0, 200, "on the same connection");
}

#[actix_web::test]
async fn a_client_that_resets_all_it_sends_keeps_no_other_out() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--workers", "1"]);
    let hostile = Http2::connect(place.path(), &service.address).await;
    for number in 0..2000 {
        let Ok(mut send) = hostile.send.clone().ready().await else { break };
        let uri = format!("https://localhost/customers/c-{number}");
        let request = http::Request::put(uri).body(()).unwrap();
        let Ok((_, mut stream)) = send.send_request(request, false) else { break };
        stream.send_reset(Reason::CANCEL);
    }
    let client = Http2::connect(place.path(), &service.address).await;
    assert_eq!(client.send("PUT", "/customers/c-1", &mia().to_string()).await.0, 201);
    hostile.ended.abort();
    assert!(!place.log().contains("ERROR"), "{}", place.log());
}

#[actix_web::test]
async fn an_idle_connection_does_not_hold_up_the_end_and_is_told_of_it() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--stop-seconds", "3600"]);
    let mut idle = begin_raw(&place, &service).await;
    assert_eq!(next_frame(&mut idle).await.unwrap().kind, SETTINGS);
    // This one does not confirm that it is told of the end.
    let mut mute = begin_raw(&place, &service).await;
    assert_eq!(next_frame(&mut mute).await.unwrap().kind, SETTINGS);
    let mut http1 = connect(place.path(), &service.address, "http/1.1").await;
    http1.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let _ = http1.read(&mut [0; 4096]).await.unwrap();
    let silent = TcpStream::connect(&service.address).await.unwrap();
    // A connection that came later is served, so that the silent one was accepted.
    Http2::connect(place.path(), &service.address).await;

    service.signal("-TERM");

    let mut goodbyes = Vec::new();
    while let Some(Frame { kind, flags, payload }) = next_frame(&mut idle).await {
        match kind {
            GOAWAY => goodbyes.push(payload),
            PING if flags == 0 => {
                idle.write_all(&[0, 0, 8, PING, 1, 0, 0, 0, 0]).await.unwrap();
                idle.write_all(&payload).await.unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(goodbyes.len(), 2, "one that announces the end, and one that names the last request");
    assert!(goodbyes.iter().all(|payload| payload[4..] == [0; 4]), "no error: {goodbyes:?}");
    assert_eq!(exit_code(service).await, Some(0), "{}", place.log());
    assert!(!place.log().contains(" WARN stopped"), "{}", place.log());
    drop((mute, silent));
}

#[actix_web::test]
async fn a_request_that_was_accepted_is_answered_at_the_end() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--stop-seconds", "60"]);
    let client = Http2::connect(place.path(), &service.address).await;
    let (answer, mut stream) = client.begin("PUT", "/customers/c-1", true).await;
    assert_eq!(client.send("GET", "/livez", "").await.0, 204, "the server has seen the other one");

    service.signal("-TERM");
    eventually("it is stopping", || async { TcpStream::connect(&service.address).await.is_err() }).await;
    stream.send_data(mia().to_string().into(), true).unwrap();

    assert_eq!(answer.await.unwrap().status(), 201);
    assert_eq!(exit_code(service).await, Some(0), "{}", place.log());
    assert!(!place.log().contains(" WARN stopped"), "{}", place.log());
}

#[actix_web::test]
async fn slow_clients_are_cut_off_at_the_end() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--stop-seconds", "1"]);
    let client = Http2::connect(place.path(), &service.address).await;
    let (_answer, _stream) = client.begin("PUT", "/customers/c-1", true).await;
    assert_eq!(client.send("GET", "/livez", "").await.0, 204, "the server has seen the other one");
    service.signal("-TERM");
    assert_eq!(exit_code(service).await, Some(0), "{}", place.log());
    assert!(place.log().contains("cut_off=1"), "{}", place.log());
}

#[actix_web::test]
async fn while_it_drains_the_service_goes_on_without_being_ready() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--drain-seconds", "3600"]);
    let client = Http2::connect(place.path(), &service.address).await;
    assert_eq!(client.send("GET", "/readyz", "").await.0, 204);
    service.signal("-TERM");
    eventually("it is not ready", || async {
        Http2::connect(place.path(), &service.address).await.send("GET", "/readyz", "").await.0 == 503
    })
    .await;
    assert_eq!(client.send("PUT", "/customers/c-1", &mia().to_string()).await.0, 201);
    service.signal("-TERM");
    assert_eq!(exit_code(service).await, Some(1), "a second signal");
}

#[actix_web::test]
async fn a_handshake_counts_as_a_connection_and_gives_way() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--max-connections", "1"]);
    let mut silent = TcpStream::connect(&service.address).await.unwrap();
    // One worker takes up its connections in the order in which they came.
    let client = timeout(LIMIT, Http2::connect(place.path(), &service.address));
    let client = client.await.expect("the next one takes its place in time");
    assert_eq!(client.send("GET", "/livez", "").await.0, 204);
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0, "the silent one was closed");
    assert!(place.log().contains("give way to new ones"), "{}", place.log());
}
