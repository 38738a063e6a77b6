//! Spans over OTLP/HTTP.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;

use super::{
    PARENT, Sandbox, TRACE,
    collector::{Collector, texts},
};
use crate::support::{Raw, Service, certify, command, eventually, mia};

/// Ends the service, which sends the rest of its spans first.
async fn end(sandbox: Sandbox) -> (Option<i32>, String) {
    let Sandbox { service, folder } = sandbox;
    service.signal("-TERM");
    let status = actix_web::rt::task::spawn_blocking(move || service.wait()).await.unwrap();
    (status.code(), std::fs::read_to_string(folder.path().join("log")).unwrap())
}

async fn put(sandbox: &Sandbox, headers: &str) -> u16 {
    let body = mia().to_string();
    let mut client = Raw::connect(&sandbox.service.address).await;
    let length = body.len();
    client
        .send(&format!(
            "PUT /customers/Mia-1 HTTP/1.1\r\nHost: Muster\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    client.answer().await.status
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// The span's attributes but for the id of the request.
fn attributes(span: &Span) -> Vec<String> {
    let (ids, others): (Vec<_>, Vec<_>) = texts(&span.attributes)
        .into_iter()
        .partition(|attribute| attribute.starts_with("http.response.header.x-request-id="));
    assert_eq!(ids.len(), 1, "{span:?}");
    others
}

#[actix_web::test]
async fn each_request_is_a_span_that_names_nobody() {
    let collector = Collector::start();
    let sandbox = Sandbox::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
    ]);
    let traceparent = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    assert_eq!(put(&sandbox, &traceparent).await, 201);
    assert_eq!(sandbox.send("GET", "/customers/Mia-1?Mia=Muster", "").await, 400);
    assert_eq!(sandbox.send("MUSTER", "/Mia", "").await, 404);
    eventually("each request has its line", || async { sandbox.lines().len() == 3 }).await;
    let lines = sandbox.lines();
    let (code, log) = end(sandbox).await;
    assert_eq!(code, Some(0), "{log}");

    let spans = collector.spans();
    let [(resource, put), (_, get), (_, other)] = &spans[..] else { panic!("three spans: {spans:?}") };
    let about = texts(&resource.attributes);
    for attribute in ["service.name=customers-api", concat!("service.version=", env!("CARGO_PKG_VERSION"))] {
        assert!(about.contains(&attribute.to_owned()), "{about:?}");
    }
    assert_eq!(put.name, "PUT /customers/{CustomerID}");
    assert_eq!((hex(&put.trace_id), hex(&put.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(put.kind, i32::from(SpanKind::Server));
    assert!(put.start_time_unix_nano < put.end_time_unix_nano);
    assert_eq!(
        attributes(put),
        [
            "http.request.method=PUT",
            "http.response.status_code=201",
            "http.route=/customers/{CustomerID}",
            "network.protocol.version=1.1",
            "url.scheme=http",
        ]
    );
    assert_eq!((get.name.as_str(), get.parent_span_id.len()), ("GET /customers/{CustomerID}", 0));
    assert_ne!(hex(&get.trace_id), TRACE);
    assert_eq!(other.name, "HTTP");
    assert_eq!(
        attributes(other),
        [
            "http.request.method=_OTHER",
            "http.response.status_code=404",
            "network.protocol.version=1.1",
            "url.scheme=http",
        ]
    );
    for (line, (_, span)) in lines.iter().zip(&spans) {
        assert_eq!(line["trace_id"], hex(&span.trace_id), "the log line names the trace");
        let request_id =
            format!("http.response.header.x-request-id={}", line["request_id"].as_str().unwrap());
        assert!(texts(&span.attributes).contains(&request_id), "{span:?}");
        assert_eq!(span.status.clone().unwrap_or_default().code, i32::from(StatusCode::Unset));
    }
    let (sent, keys) = collector.received(|received| (received.bodies.concat(), received.api_keys.clone()));
    for word in ["Mia", "Muster", "MUSTER", "sandbox", "1990-", "secret", "customers.db"] {
        assert!(!sent.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }
    assert!(!keys.is_empty() && keys.iter().all(|key| key == "secret"), "{keys:?}");
    assert!(!log.contains("secret"), "{log}");
}

#[actix_web::test]
async fn a_span_tells_https_and_http_2() {
    let (collector, folder) = (Collector::start(), tempfile::tempdir().unwrap());
    certify(folder.path(), "server", &[]);
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::set_permissions(file("server.key"), Permissions::from_mode(0o600)).unwrap();
    let service = Service::start_with(
        &format!("sqlite:{}", file("customers.db")),
        file("log").as_ref(),
        &["--tls-cert", &file("server.crt"), "--tls-key", &file("server.key")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "10")],
    );
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--http2", &format!("https://{}/livez", service.address)]);
    assert!(curl.status().unwrap().success());
    eventually("the span is there", || async { !collector.spans().is_empty() }).await;
    let attributes = attributes(&collector.spans()[0].1);
    for attribute in ["url.scheme=https", "network.protocol.version=2"] {
        assert!(attributes.contains(&attribute.to_owned()), "{attributes:?}");
    }
}

#[actix_web::test]
async fn a_failure_is_an_error_of_its_span() {
    let collector = Collector::start();
    let sandbox = Sandbox::start(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", collector.endpoint)),
        ("OTEL_SERVICE_NAME", "another"),
    ]);
    let file = sandbox.folder.path().join("customers.db");
    std::fs::rename(&file, file.with_extension("aside")).unwrap();
    eventually("writes are refused", || async { put(&sandbox, "").await == 503 }).await;
    let _ = end(sandbox).await;

    let spans = collector.spans();
    let (resource, span) = spans.last().unwrap();
    assert!(texts(&resource.attributes).contains(&"service.name=another".to_owned()), "{resource:?}");
    assert_eq!(span.status.clone().unwrap().code, i32::from(StatusCode::Error));
    assert!(attributes(span).contains(&"error.type=503".to_owned()), "{span:?}");
}

#[actix_web::test]
async fn the_caller_decides_what_is_sampled() {
    let collector = Collector::start();
    let sandbox = Sandbox::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)]);
    for flags in ["00", "01", "02", "03"] {
        assert_eq!(
            sandbox.send("GET", "/livez", &format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n")).await,
            204
        );
    }
    let _ = end(sandbox).await;
    assert_eq!(collector.spans().len(), 2);
}

#[actix_web::test]
async fn a_collector_that_is_away_costs_one_line_of_the_log() {
    let sandbox = Sandbox::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ]);
    assert_eq!(put(&sandbox, "").await, 201);
    eventually("it is noticed", || async { sandbox.log().contains("spans cannot be sent") }).await;
    for _ in 0..3 {
        assert_eq!(put(&sandbox, "").await, 204);
    }
    let (code, log) = end(sandbox).await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("spans cannot be sent").count(), 1, "{log}");
}

#[actix_web::test]
async fn a_collector_that_does_not_answer_holds_up_neither_requests_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let sandbox = Sandbox::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", silent.local_addr().unwrap())),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
    ]);
    let begun = Instant::now();
    for number in 0..100 {
        assert_eq!(put(&sandbox, "").await, if number == 0 { 201 } else { 204 });
    }
    let (code, log) = end(sandbox).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(300), "far less than the time of the collector");
    assert!(log.contains("the last spans were not sent"), "{log}");
}

#[test]
fn variables_that_cannot_be_used_are_a_failure_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for variables in [
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@a b"), ("OTEL_SERVICE_NAME", "a")],
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:1"), ("OTEL_SERVICE_NAME", "a")],
    ] {
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).envs(variables);
        let output = serve.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{variables:?}: {said}");
        assert!(said.starts_with("error: an OTEL_EXPORTER_OTLP_ variable is not valid"), "{said}");
        assert!(said.lines().count() == 1 && !said.contains("secret"), "{said}");
    }
}

/// A collector that is reached by TLS, and asks for a certificate; and its files.
struct TlsCollector {
    collector: Collector,
    endpoint: String,
    folder: tempfile::TempDir,
}

impl TlsCollector {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path(), "ca", &[]);
        for name in ["server", "client"] {
            let issuer = ["-CA", "ca.crt", "-CAkey", "ca.key"];
            let kind =
                ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
            certify(folder.path(), name, &[issuer, kind].concat());
        }
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_file(folder.path().join("ca.crt")).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_file(folder.path().join("server.crt")).unwrap()],
                PrivateKeyDer::from_pem_file(folder.path().join("server.key")).unwrap(),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let collector = Collector::start();
        let behind = collector.endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client without a certificate is refused here.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut behind = tokio::net::TcpStream::connect(&behind).await.unwrap();
                drop(copy_bidirectional(&mut stream, &mut behind).await);
            }
        });
        Self { collector, endpoint, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

#[actix_web::test]
async fn a_collector_may_have_an_authority_of_its_own_and_ask_for_a_certificate() {
    let tls = TlsCollector::start().await;
    let (authority, certificate, key) = (tls.file("ca.crt"), tls.file("client.crt"), tls.file("client.key"));
    let [endpoint, delay] =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", tls.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "10")];
    let client = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", key.as_str()),
    ];
    for variables in [
        &[("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.as_str())][..],
        &client,
        &[("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate.as_str()), client[0], client[1]],
    ] {
        let sandbox = Sandbox::start(&[&[endpoint, delay], variables].concat());
        assert_eq!(put(&sandbox, "").await, 201);
        eventually("it is refused", || async { sandbox.log().contains("spans cannot be sent") }).await;
    }
    assert!(tls.collector.spans().is_empty());

    for name in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"] {
        let before = tls.collector.spans().len();
        // The variable for traces wins.
        let other = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/no/such/file");
        let variables = [endpoint, delay, (name, authority.as_str()), client[0], client[1], other];
        let sandbox = Sandbox::start(&variables);
        assert_eq!(put(&sandbox, "").await, 201);
        eventually("the span is there", || async { tls.collector.spans().len() > before }).await;
    }
}

#[test]
fn a_file_for_tls_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "another"] {
        certify(folder.path(), name, &[]);
    }
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::write(folder.path().join("other"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let (roots, certificate, key) = (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    );
    for (variables, says) in [
        (&[(roots, "missing")][..], "OTEL_EXPORTER_OTLP_CERTIFICATE names cannot be read"),
        (&[(roots, "empty")], "OTEL_EXPORTER_OTLP_CERTIFICATE names holds no certificate"),
        (&[(roots, "one.key")], "OTEL_EXPORTER_OTLP_CERTIFICATE names holds no certificate"),
        (
            &[(roots, "other")],
            "OTEL_EXPORTER_OTLP_CERTIFICATE names holds a certificate that cannot be trusted",
        ),
        (&[(certificate, "one.crt")], "belong together"),
        (&[(key, "one.key")], "belong together"),
        (
            &[(certificate, "one.crt"), (key, "one.crt")],
            "OTEL_EXPORTER_OTLP_CLIENT_KEY names holds no private key",
        ),
        (
            &[(certificate, "one.crt"), (key, "another.key")],
            "OTEL_EXPORTER_OTLP_CLIENT_KEY names cannot be used",
        ),
    ] {
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(folder.path());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
        let output = serve.envs([&[endpoint], variables].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{variables:?}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{variables:?}: {said}");
    }
}
