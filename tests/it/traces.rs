//! The trace of a request: its id on the log line, and with the feature `otlp` its span. With the real binary.

#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod spans;

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Raw, Service, command, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const PARENT: &str = "00f067aa0ba902b7";

/// A sandbox with a folder of its own.
struct Sandbox {
    service: Service,
    folder: TempDir,
}

impl Sandbox {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("customers.db").display());
        let arguments = ["--sandbox", "--workers", "1", "--log-format", "json"];
        let service = Service::start_with(&url, &folder.path().join("log"), &arguments, variables);
        Self { service, folder }
    }

    /// Sends a request with these header lines, and returns the status.
    async fn send(&self, method: &str, path: &str, headers: &str) -> u16 {
        let mut client = Raw::connect(&self.service.address).await;
        client.send(&format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n")).await;
        client.answer().await.status
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The log lines of requests.
    fn lines(&self) -> Vec<Value> {
        let lines = self.log();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "answered").collect()
    }
}

#[actix_web::test]
async fn the_log_line_names_the_trace_of_a_valid_traceparent() {
    let sandbox = Sandbox::start(&[]);
    let valid = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    let upper = format!("TraceParent: 00-{}-{PARENT}-01\r\n", TRACE.to_uppercase());
    for headers in [&valid, "", &upper, &valid.repeat(2), "traceparent: Mia\r\n"] {
        assert_eq!(sandbox.send("GET", "/customers/c-1", headers).await, 404, "{headers}");
    }
    eventually("each request has its line", || async { sandbox.lines().len() == 5 }).await;
    let lines = sandbox.lines();
    assert_eq!(lines[0]["trace_id"], TRACE);
    for line in &lines[1..] {
        assert_eq!(line.get("trace_id"), None, "{line}");
    }
    assert!(!sandbox.log().contains("Mia"), "{}", sandbox.log());
}

#[test]
fn the_version_names_what_is_built_in() {
    let output = command().arg("--version").output().unwrap();
    let features = if cfg!(feature = "otlp") { " (otlp)" } else { "" };
    let version = format!("customers-api {}{features}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_without_spans_says_so_if_they_are_asked_for() {
    let endpoint = "http://127.0.0.1:1";
    for (variables, lines) in [
        (&[][..], 0),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)], 1),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)], 1),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], 0),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_SDK_DISABLED", "true")], 0),
    ] {
        let sandbox = Sandbox::start(variables);
        assert_eq!(sandbox.log().matches("no spans are sent").count(), lines, "{variables:?}");
    }
}
