//! HTTP/1.1 and HTTP/2 give the same answers to the same requests.

use std::collections::BTreeMap;

use h2::client::SendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Place,
    client::{Http2, connect, read},
};
use crate::support::{Service, mia};

/// Headers that say something of a connection, or that are other ones each time.
const OF_ITS_OWN: [&str; 5] = ["connection", "date", "etag", "last-modified", "x-request-id"];

const METHODS: [&str; 7] = ["PUT", "GET", "HEAD", "DELETE", "POST", "OPTIONS", "PATCH"];

const TARGETS: [&str; 24] = [
    "/",
    "/?a=b",
    "/customers",
    "/customers?PageSize=1",
    "/customers?PageSize=0",
    "/customers?PageSize=1&PageSize=1",
    "/customers?a=b",
    "/customers/c-1",
    "/customers/c-1?a",
    "/customers/K%C3%A4the",
    "/customers/a%2Fb",
    "/customers/%00",
    "/customers/",
    "/customers/nobody/events",
    "/events?Wait=11",
    "/events?PageToken=a",
    "/events/c-1",
    "//customers",
    "/openapi.yaml",
    "/livez",
    "/readyz",
    "/swagger-ui",
    "/swagger-ui/signing.js",
    "/nowhere",
];

/// Headers beside each method.
const HEADERS: [(&str, &str); 11] = [
    ("accept-encoding", "gzip"),
    ("api-signature", "a.b.c"),
    ("content-range", "bytes 0-1/2"),
    ("expect", "tea"),
    ("if-match", "*"),
    ("if-match", "\"a\""),
    ("if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ("if-none-match", "*"),
    ("if-none-match", "a"),
    ("range", "bytes=0-1"),
    ("traceparent", "nonsense"),
];

struct Request {
    method: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn requests() -> Vec<Request> {
    let json = |body: &str| (vec![("content-type", "application/json".to_owned())], body.to_owned());
    let mia = mia().to_string();
    let mut requests = Vec::new();
    for target in TARGETS {
        for method in METHODS {
            let (headers, body) = if method == "PUT" { json(&mia) } else { (vec![], String::new()) };
            requests.push(Request { method, target, headers, body });
        }
    }
    for header in HEADERS {
        for method in METHODS {
            let (mut headers, body) = if method == "PUT" { json(&mia) } else { (vec![], String::new()) };
            headers.push((header.0, header.1.to_owned()));
            requests.push(Request { method, target: "/customers/c-2", headers, body });
        }
    }
    for body in ["", "{", "{}", "[]", "null", &mia, &format!("{mia} "), &"[".repeat(10_000)] {
        for media_type in ["application/json", "application/json; charset=utf-8", "text/plain", "a", ""] {
            for (method, target) in [("PUT", "/customers/c-3"), ("GET", "/customers"), ("POST", "/livez")] {
                let headers = vec![("content-type", media_type.to_owned())];
                requests.push(Request { method, target, headers, body: body.to_owned() });
            }
        }
    }
    requests
}

/// An answer without what belongs to this one alone.
fn answer(status: u16, headers: impl Iterator<Item = (String, String)>, body: Vec<u8>) -> Answer {
    let body = String::from_utf8(body).unwrap();
    let instance = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("Instance")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "no instance".to_owned());
    let headers = headers.map(|(name, value)| {
        let value = if OF_ITS_OWN.contains(&name.as_str()) { "any".to_owned() } else { value };
        (name, value)
    });
    let mut headers: BTreeMap<_, _> = headers.collect();
    headers.remove("connection");
    // The timestamps of customers.
    let body = body.split("\"Created\":").next().unwrap().replace(&instance, "any");
    Answer { status, headers, body }
}

async fn http1(place: &Place, service: &Service, request: &Request) -> Answer {
    let Request { method, target, headers, body } = request;
    let mut stream = connect(place.path(), &service.address, "http/1.1").await;
    let lines: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let text =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}{length}");
    stream.write_all((text + "\r\n" + body).as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // Without `close_notify`, this is an error.
    stream.read_to_end(&mut received).await.unwrap();
    let mut lines = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut lines);
    let end = head.parse(&received).unwrap().unwrap();
    let headers = head
        .headers
        .iter()
        .map(|line| (line.name.to_lowercase(), String::from_utf8(line.value.to_vec()).unwrap()));
    answer(head.code.unwrap(), headers, received[end..].to_vec())
}

async fn http2(send: &SendRequest<actix_web::web::Bytes>, request: &Request) -> Answer {
    let Request { method, target, headers, body } = request;
    let mut head = http::Request::builder().method(*method).uri(format!("https://localhost{target}"));
    for (name, value) in headers {
        head = head.header(*name, value);
    }
    if !body.is_empty() {
        head = head.header("content-length", body.len());
    }
    let mut send = send.clone().ready().await.unwrap();
    let (response, mut stream) = send.send_request(head.body(()).unwrap(), body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(body.clone().into(), true).unwrap();
    }
    let (head, body) = response.await.unwrap().into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    answer(head.status.as_u16(), headers, read(body).await)
}

#[actix_web::test]
async fn both_versions_of_http_give_the_same_answers_header_for_header() {
    let (first, second) = (Place::new(), Place::new());
    let (one, two) = (first.start(&["--sandbox"]), second.start(&["--sandbox"]));
    let client = Http2::connect(second.path(), &two.address).await;
    let requests = requests();
    assert!(requests.len() > 300);
    for request in &requests {
        let (one, two) = (http1(&first, &one, request).await, http2(&client.send, request).await);
        let Request { method, target, headers, .. } = request;
        assert_eq!(one, two, "{method} {target} {headers:?}");
    }
}
