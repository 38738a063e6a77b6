//! The log of the real binary: a line for each request, also for one whose client is gone.

use std::{fs, path::PathBuf};

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use tempfile::TempDir;

use crate::support::{Raw, Service, eventually, mia};

/// A sandbox with a log of its own.
struct Sandbox {
    service: Service,
    directory: TempDir,
}

impl Sandbox {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("customers.db").display());
        let log = directory.path().join("log");
        let one = ["--sandbox", "--workers", "1"];
        let service = Service::start(&url, &log, &[&one, arguments].concat());
        Self { service, directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn connect(&self) -> Raw {
        Raw::connect(&self.service.address).await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap()
    }

    /// The lines about requests.
    fn lines(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains("request_id=")).map(str::to_owned).collect()
    }

    async fn has_lines(&self, number: usize) -> Vec<String> {
        eventually("every request has its line", || async { self.lines().len() >= number }).await;
        self.lines()
    }
}

fn put() -> String {
    let body = mia().to_string();
    let length = body.len();
    format!(
        "PUT /customers/c-1 HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[track_caller]
fn is_given_up(line: &str, method: &str, route: &str) {
    for part in [&format!("method={method}"), &format!("route={route}"), "status=499", "micros=", "INFO"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // A request id may have these letters by chance.
    let (_, fields) = line.split_once("method=").unwrap();
    assert!(!fields.contains("c-1") && !line.contains("Mia"), "{line}");
}

#[actix_web::test]
async fn a_write_whose_client_is_gone_leaves_a_line() {
    let sandbox = Sandbox::start(&[]);
    let mut somebody = SqliteConnection::establish(sandbox.file("customers.db").to_str().unwrap()).unwrap();
    somebody.batch_execute("BEGIN IMMEDIATE").unwrap();
    let mut client = sandbox.connect().await;
    client.send(&put()).await;
    // An answer to the next request shows that the service has read the first one.
    let mut other = sandbox.connect().await;
    other.send("GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(other.answer().await.status, 404);
    client.reset();

    let lines = sandbox.has_lines(2).await;
    is_given_up(&lines[1], "PUT", "/customers/{CustomerID}");
    somebody.batch_execute("ROLLBACK").unwrap();
}

#[actix_web::test]
async fn a_request_that_is_given_up_halfway_leaves_a_line() {
    let sandbox = Sandbox::start(&[]);
    let put = put();
    let (half, _) = put.split_at(put.len() - 10);
    for (number, (text, method, route)) in [
        (half.to_owned(), "PUT", "/customers/{CustomerID}"),
        (half.replacen("PUT", "DELETE", 1), "DELETE", "/customers/{CustomerID}"),
        (half.replacen("PUT /customers/c-1", "GET /customers", 1), "GET", "/customers"),
        (half.replacen("PUT", "HEAD", 1), "HEAD", "/customers/{CustomerID}"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = sandbox.connect().await;
        client.send(&text).await;
        let mut other = sandbox.connect().await;
        other.send("GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n").await;
        assert_eq!(other.answer().await.status, 404);
        client.reset();
        let lines = sandbox.has_lines(2 * number + 2).await;
        is_given_up(&lines[2 * number + 1], method, route);
    }
}

#[actix_web::test]
async fn requests_that_come_together_have_a_whole_line_each_before_the_service_ends() {
    const CLIENTS: usize = 40;
    let sandbox = Sandbox::start(&[]);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(sandbox.connect().await);
    }
    let mut answered = Vec::new();
    for request in
        ["GET /customers HTTP/1.1\r\nHost: test\r\n\r\n", "GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n"]
    {
        for client in &mut clients {
            client.send(request).await;
        }
        for client in &mut clients {
            answered.push(client.answer().await.headers["x-request-id"].clone());
        }
    }
    drop(clients);
    let Sandbox { service, directory } = sandbox;
    service.signal("-TERM");
    assert!(service.wait().success());

    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    let lines = log.lines().filter(|line| line.contains(" answered "));
    let mut logged: Vec<_> = lines
        .map(|line| {
            let (_, id) = line.split_once(" request_id=").unwrap();
            assert!(line.contains(" INFO ") && line.contains(" micros="), "{line}");
            id[..answered[0].len()].to_owned()
        })
        .collect();
    logged.sort_unstable();
    answered.sort_unstable();
    assert_eq!(logged, answered);
}

#[actix_web::test]
async fn probes_are_logged_at_the_debug_level() {
    for (arguments, probes) in [(&["--log", "info"][..], 0), (&["--log", "debug", "--base-path", "/api"], 4)]
    {
        let sandbox = Sandbox::start(arguments);
        let base = if probes == 0 { "" } else { "/api" };
        let mut client = sandbox.connect().await;
        for line in
            ["GET /livez", "GET /readyz", "HEAD /livez", "POST /readyz", "GET /nothing", "GET /customers"]
        {
            let (method, path) = line.split_once(' ').unwrap();
            client.send(&format!("{method} {base}{path} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
            client.answer().await;
        }
        let lines = sandbox.has_lines(probes + 2).await;
        let (logged, others): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line.contains("route=/livez") || line.contains("route=/readyz"));
        assert_eq!((logged.len(), others.len()), (probes, 2), "{lines:#?}");
        assert!(logged.iter().all(|line| line.contains("DEBUG")), "{lines:#?}");
    }
}

#[actix_web::test]
async fn nothing_that_a_client_makes_up_is_on_a_line() {
    for format in ["text", "json"] {
        let sandbox = Sandbox::start(&["--log", "debug", "--log-format", format]);
        let long = "MUSTER".repeat(5000);
        let head = "Host: muster\r\nUser-Agent: muster\r\ntraceparent: 00-muster-muster-01\r\nX-Request-Id: muster\r\n\
            Api-Signature: muster\r\n\r\n";
        for method in ["MUSTER", "MIA-MUSTER", "muster", "gMUSTERet", &long] {
            let mut client = sandbox.connect().await;
            client.send(&format!("{method} /customers/muster?muster=muster HTTP/1.1\r\n{head}")).await;
            client.answer().await;
        }
        for target in ["/muster", "/customers?PageToken=muster", "/customers/%6Duster#muster", "*"] {
            let mut client = sandbox.connect().await;
            client.send(&format!("OPTIONS {target} HTTP/1.1\r\n{head}")).await;
            client.answer().await;
        }
        eventually("every request has its line", || async { sandbox.log().matches("answered").count() >= 9 })
            .await;
        let log = sandbox.log();
        assert!(!log.to_lowercase().contains("muster"), "{log}");
        assert!(log.contains("_OTHER") && log.contains("OPTIONS"), "{log}");
        assert!(log.lines().all(|line| line.len() < 500), "{log}");
    }
}
