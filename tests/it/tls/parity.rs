//! HTTP/1.1 and HTTP/2 give the same answers to the same requests.

use std::{collections::BTreeMap, fs};

use customers_api::{
    api::operations,
    signature::{Algorithm, PrivateKey},
};
use h2::client::SendRequest;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Place,
    client::{Http2, connect, read},
};
use crate::support::{Service, Signer, mia, token_for};

/// Headers that are other ones each time.
const OF_ITS_OWN: [&str; 4] = ["date", "etag", "last-modified", "x-request-id"];

/// Members of a body that are other ones each time.
const MEMBERS_OF_THEIR_OWN: [&str; 8] =
    ["Created", "EventID", "Instance", "Occurred", "PageToken", "Previous", "Updated", "Version"];

const METHODS: [&str; 7] = ["PUT", "GET", "HEAD", "DELETE", "POST", "OPTIONS", "PATCH"];

/// Targets beside those of the operations.
const TARGETS: [&str; 22] = [
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
    "/events?Wait=11",
    "/events?PageToken=a",
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

#[derive(Clone)]
struct Request {
    method: &'static str,
    target: String,
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
    let of_operations =
        operations().iter().map(|operation| operation.path().replace("{CustomerID}", "of-an-operation"));
    for target in of_operations.chain(TARGETS.map(str::to_owned)) {
        for method in METHODS {
            let (headers, body) = if method == "PUT" { json(&mia) } else { (vec![], String::new()) };
            requests.push(Request { method, target: target.clone(), headers, body });
        }
    }
    for header in HEADERS {
        for method in METHODS {
            let (mut headers, body) = if method == "PUT" { json(&mia) } else { (vec![], String::new()) };
            headers.push((header.0, header.1.to_owned()));
            requests.push(Request { method, target: "/customers/c-2".to_owned(), headers, body });
        }
    }
    for body in ["", "{", "{}", "[]", "null", &mia, &format!("{mia} "), &"[".repeat(10_000)] {
        for media_type in ["application/json", "application/json; charset=utf-8", "text/plain", "a", ""] {
            for (method, target) in [("PUT", "/customers/c-3"), ("GET", "/customers"), ("POST", "/livez")] {
                let headers = vec![("content-type", media_type.to_owned())];
                requests.push(Request { method, target: target.to_owned(), headers, body: body.to_owned() });
            }
        }
    }
    requests
}

/// Requests that are signed by a key that may only read, at both places.
fn by_a_reader(places: &[&Place]) -> Vec<Request> {
    let key = PrivateKey::generate(Algorithm::Es256).unwrap();
    for place in places {
        fs::write(place.file("reader.pem"), key.public_key().unwrap().to_pem()).unwrap();
        let add = ["keys", "add", "--account", "acme", "--public-key", "reader.pem", "--scope", "read"];
        place.succeeds(&add);
    }
    let signer = Signer { account: "acme".parse().unwrap(), key_id: key.thumbprint().unwrap(), key };
    let target = "/customers/c-4";
    METHODS
        .map(|method| {
            let token = token_for(&signer, method, target, b"");
            Request {
                method,
                target: target.to_owned(),
                headers: vec![("api-signature", token)],
                body: String::new(),
            }
        })
        .into()
}

/// An answer without what belongs to this one alone.
fn answer(status: u16, headers: impl Iterator<Item = (String, String)>, body: Vec<u8>) -> Answer {
    let headers = headers.filter(|(name, _)| name != "connection").map(|(name, value)| {
        let value = if OF_ITS_OWN.contains(&name.as_str()) { "any".to_owned() } else { value };
        (name, value)
    });
    let body = String::from_utf8(body).unwrap();
    let body = match serde_json::from_str(&body) {
        Ok(mut json) => {
            without_what_is_of_its_own(&mut json);
            json.to_string()
        }
        Err(_) => body,
    };
    Answer { status, headers: headers.collect(), body }
}

fn without_what_is_of_its_own(json: &mut Value) {
    match json {
        Value::Object(members) => {
            for (name, member) in members {
                if MEMBERS_OF_THEIR_OWN.contains(&name.as_str()) {
                    *member = "any".into();
                } else {
                    without_what_is_of_its_own(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_what_is_of_its_own),
        _ => {}
    }
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
    let requests = [requests(), by_a_reader(&[&first, &second])].concat();
    assert!(requests.len() > 300);
    for request in &requests {
        let (one, two) = (http1(&first, &one, request).await, http2(&client.send, request).await);
        let Request { method, target, headers, .. } = request;
        assert_eq!(one, two, "{method} {target} {headers:?}");
    }
}
