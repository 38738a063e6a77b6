//! The real binary: what it says, how it fails, and that nothing acknowledged is lost when it is killed.

mod arguments;
mod healthcheck;
mod key_files;
mod keys;
mod log;
mod output;
mod signals;
mod supervisor;

use std::{
    cell::{Cell, RefCell},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Output, Stdio},
};

use actix_web::rt;
use customers_api::signature::{Algorithm, PrivateKey};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Client, Service, command, eventually, mia};

/// A folder of a test's own, with a database that is not there yet.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn database_url(&self) -> String {
        format!("sqlite:{}", self.file("customers.db").display())
    }

    /// Makes a file of seal keys, `seal-keys`.
    fn seal_keys(&self) -> String {
        let file = self.file("seal-keys");
        fs::write(&file, self.succeeds(&["seal", "generate-key"])).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// Runs the binary to its end, in the folder.
    fn run(&self, arguments: &[&str]) -> Output {
        command().args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with this code, and says why in one line.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        if code == 1 {
            assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
        }
        error
    }

    /// The names of the files in the folder.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn start(&self, arguments: &[&str]) -> Service {
        Service::start(&self.database_url(), &self.file("log"), arguments)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap()
    }
}

/// A new public key.
fn public_pem() -> String {
    PrivateKey::generate(Algorithm::Es384).unwrap().public_key().unwrap().to_pem().to_owned()
}

#[test]
fn help_shows_examples_for_each_command_that_needs_them() {
    let place = Place::new();
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["keys", "--help"],
        &["sign", "--help"],
        &["backup", "--help"],
        &["export", "--help"],
        &["import", "--help"],
    ] {
        assert!(place.succeeds(arguments).contains("Examples:\n"), "{arguments:?}");
    }
}

#[test]
fn misuse_exits_with_2() {
    let place = Place::new();
    for (arguments, reason) in [
        (&["serve", "--database-url", "mysql://h/d"][..], "unknown database"),
        (&["serve", "--listen", "nowhere"], "invalid socket address"),
        (&["serve", "--base-path", "api"], "must be / or segments"),
        (&["serve", "--workers", "0"], "0 is not in 1..=1024"),
        (
            &["keys", "generate", "--account", "a b", "--out", "k.pem"],
            "an account name has 1 to 64 characters",
        ),
        (
            &["keys", "generate", "--account", "a", "--out", "k.pem", "--algorithm", "HS256"],
            "must be ES384 or ES256",
        ),
        (&["sign", "GET", "/", "--key", "k.pem", "--expires-in", "901"], "901 is not in 1..=900"),
        (&["sign", "GET", "/"], "--key"),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        let error = place.fails(2, arguments);
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0, "misuse leaves nothing behind");
}

#[test]
fn failure_exits_with_1_and_one_line() {
    let place = Place::new();
    fs::write(place.file("no-key.pem"), "nonsense").unwrap();
    fs::write(place.file("no-database"), "nonsense, and enough of it to be taken for the header of a file")
        .unwrap();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = occupied.local_addr().unwrap().to_string();
    for (arguments, reason) in [
        (&["serve", "--listen", &occupied][..], "cannot listen on"),
        (
            &["serve", "--database-url", "sqlite:no/such/folder/customers.db"],
            "cannot open sqlite:no/such/folder",
        ),
        (
            &["serve", "--database-url", "sqlite:no-database", "--listen", "127.0.0.1:0"],
            "file is not a database",
        ),
        (&["keys", "list", "--database-url", "sqlite:mistyped.db"], "cannot open sqlite:mistyped.db"),
        (&["keys", "revoke", "a", "--database-url", "sqlite:mistyped.db"], "cannot open sqlite:mistyped.db"),
        (&["sign", "GET", "/", "--key", "missing.pem"], "cannot read the key missing.pem"),
        (
            &["sign", "GET", "/", "--key", "no-key.pem"],
            "cannot use the key no-key.pem: the key is not in PEM format",
        ),
        (
            &["keys", "add", "--account", "a", "--public-key", "no-key.pem"],
            "cannot use the key no-key.pem: the key is not in PEM format",
        ),
    ] {
        let error = place.fails(1, arguments);
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
    assert!(!place.file("mistyped.db").exists());
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_what_to_do_about_it() {
    let place = Place::new();
    let pair = PrivateKey::generate(Algorithm::Es384).unwrap();
    for (file, pem) in [
        ("private.pem", pair.to_pem()),
        ("public.pem", pair.public_key().unwrap().to_pem()),
        ("sec1.pem", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"),
        (
            "encrypted.pem",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
        ("curve.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("no-key.pem", "nonsense"),
    ] {
        fs::write(place.file(file), pem).unwrap();
    }
    for (file, reason) in [
        ("public.pem", "the PEM block is not a private key in PKCS#8 format (BEGIN PRIVATE KEY)"),
        ("sec1.pem", "the key is in SEC1 format; convert it with `openssl pkcs8 -topk8"),
        ("encrypted.pem", "the key is encrypted; decrypt it with `openssl pkcs8"),
        ("curve.pem", "the key is not a valid EC key on the curve P-384 or P-256"),
        ("no-key.pem", "the key is not in PEM format"),
    ] {
        let error = place.fails(1, &["sign", "GET", "/", "--key", file]);
        assert!(error.starts_with(&format!("error: cannot use the key {file}: {reason}")), "{error}");
    }
    for (file, reason) in [
        ("private.pem", "the PEM block is not a public key (BEGIN PUBLIC KEY); get it with `openssl pkey"),
        ("no-key.pem", "the key is not in PEM format"),
    ] {
        let error = place.fails(1, &["keys", "add", "--account", "a", "--public-key", file]);
        assert!(error.starts_with(&format!("error: cannot use the key {file}: {reason}")), "{error}");
    }
}

#[test]
fn a_key_is_generated_listed_used_and_revoked() {
    let place = Place::new();
    let generated =
        place.succeeds(&["keys", "generate", "--account", "acme", "--out", "private.pem", "--key-id", "k-1"]);
    assert_eq!(generated, "registered k-1 (ES384) for the account acme\n");
    assert_eq!(fs::metadata(place.file("private.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        place.fails(1, &["keys", "generate", "--account", "acme", "--out", "private.pem"]).contains("exists")
    );
    let taken =
        place.fails(1, &["keys", "generate", "--account", "acme", "--out", "other.pem", "--key-id", "k-1"]);
    assert!(taken.contains("the key id k-1 is in use"), "{taken}");
    assert!(!place.file("other.pem").exists(), "a key that was not registered is not left behind");

    assert!(place.succeeds(&["keys", "list"]).contains("k-1"));
    let token =
        place.succeeds(&["sign", "GET", "/customers?a=b", "--key", "private.pem", "--query", "PageSize=5"]);
    assert_eq!(token.trim_end().split('.').count(), 3, "a token alone is printed");
    assert_eq!(place.succeeds(&["keys", "revoke", "k-1"]), "revoked k-1\n");
    assert!(place.fails(1, &["keys", "revoke", "k-1"]).contains("there is no active key with the id k-1"));
}

#[test]
fn openapi_prints_the_contract_as_it_is() {
    let place = Place::new();
    assert_eq!(place.succeeds(&["openapi"]), customers_api::contract::YAML);
    let json: Value = serde_json::from_str(&place.succeeds(&["openapi", "--format", "json"])).unwrap();
    assert_eq!(&json, customers_api::contract::document());
}

#[test]
fn openapi_prints_the_contract_in_the_version_that_is_asked_for() {
    let place = Place::new();
    let older = customers_api::contract::document_3_0();
    let json = place.succeeds(&["openapi", "--format", "json", "--version", "3.0"]);
    assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), older);
    let yaml = place.succeeds(&["openapi", "--version", "3.0"]);
    assert_eq!(&yaml_serde::from_str::<Value>(&yaml).unwrap(), older);
    assert_eq!(place.succeeds(&["openapi", "--version", "3.1"]), customers_api::contract::YAML);
}

#[test]
fn migrate_may_be_run_again_and_again() {
    let place = Place::new();
    for _ in 0..2 {
        assert_eq!(place.succeeds(&["migrate"]), "sqlite:customers.db is up to date\n");
    }
}

/// `None` if there is no answer.
async fn put(client: &Client, service: &Service, id: &str) -> Option<u16> {
    let put = client.put(format!("http://{}/customers/{id}", service.address)).json(mia().to_string());
    Some(put.try_send().await?.status.as_u16())
}

async fn status_of(client: &Client, service: &Service, id: &str) -> u16 {
    client.get(format!("http://{}/customers/{id}", service.address)).status().await
}

#[actix_web::test]
async fn every_acknowledged_write_is_there_after_the_service_was_killed_under_load() {
    const ROUNDS: usize = 4;
    const ACKNOWLEDGED_BEFORE_KILL: usize = 150;
    let place = Place::new();
    let acknowledged = RefCell::new(Vec::new());
    for round in 0..ROUNDS {
        let service = place.start(&["--sandbox"]);
        let before = acknowledged.borrow().len();
        let killed = Cell::new(false);
        let writer = |writer: usize| {
            let (service, acknowledged, killed) = (&service, &acknowledged, &killed);
            async move {
                let client = Client::new();
                for number in 0.. {
                    let id = format!("{round}-{writer}-{number}");
                    match put(&client, service, &id).await {
                        Some(status) => assert_eq!(status, 201),
                        None => break,
                    }
                    acknowledged.borrow_mut().push(id);
                    if acknowledged.borrow().len() >= before + ACKNOWLEDGED_BEFORE_KILL
                        && !killed.replace(true)
                    {
                        service.signal("-KILL");
                    }
                }
            }
        };
        futures_util::future::join_all((0..16).map(writer)).await;
        assert!(!service.wait().success());
    }
    let service = place.start(&["--sandbox"]);
    let client = Client::new();
    assert!(acknowledged.borrow().len() >= ROUNDS * ACKNOWLEDGED_BEFORE_KILL);
    for id in acknowledged.take() {
        assert_eq!(status_of(&client, &service, &id).await, 200, "{id} was acknowledged");
    }
}

/// A PUT of which the head was sent; the service accepted it, since it asked for the body.
async fn begin(service: &Service, id: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&service.address).await.unwrap();
    let head = format!(
        "PUT /customers/{id} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Sends the body, and reads the answer to its end: the service closes the connection, because it is stopping.
async fn finish(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[actix_web::test]
async fn on_a_signal_every_accepted_request_is_answered() {
    const HELD: usize = 32;
    for signal in ["-TERM", "-INT", "-HUP"] {
        let place = Place::new();
        let service = place.start(&["--sandbox"]);
        let body = mia().to_string();
        let mut held = Vec::new();
        for number in 0..HELD {
            held.push(begin(&service, &format!("held-{number}"), &body).await);
        }
        let answered = Cell::new(0);
        let load = (0..8).map(|writer| {
            let (service, answered) = (&service, &answered);
            async move {
                let client = Client::new();
                for number in 0.. {
                    // A connection that was not accepted yet may be refused or reset at any time from here on.
                    let Some(status) = put(&client, service, &format!("{writer}-{number}")).await else {
                        break;
                    };
                    assert_eq!(status, 201);
                    answered.set(answered.get() + 1);
                    if answered.get() == 100 {
                        service.signal(signal);
                    }
                }
            }
        });
        futures_util::future::join_all(load).await;
        eventually("new connections are refused", || async {
            TcpStream::connect(&service.address).await.is_err()
        })
        .await;
        for stream in held {
            let answer = finish(stream, &body).await;
            assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{signal}: {answer:?}");
        }
        let status = rt::task::spawn_blocking(move || service.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{signal}: {}", place.log());
        assert!(answered.get() >= 100);
        let logged = place.log().matches("status=201").count();
        assert_eq!(
            logged,
            answered.get() + HELD,
            "{signal}: what was carried out was answered, and nothing besides"
        );
    }
}

#[actix_web::test]
async fn each_request_is_a_line_of_the_log_and_no_line_names_a_person() {
    let place = Place::new();
    let service = place.start(&["--sandbox", "--log-format", "json"]);
    let client = Client::new();
    assert_eq!(put(&client, &service, "Mia-Muster").await.unwrap(), 201);
    assert_eq!(status_of(&client, &service, "Musterstadt?Mia=Muster").await, 400);
    service.signal("-TERM");
    assert!(service.wait().success());

    let log = place.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<_> = lines.iter().filter(|line| line["message"] == "answered").collect();
    assert_eq!(answered.len(), 2);
    for (line, method, status) in [(answered[0], "PUT", 201), (answered[1], "GET", 400)] {
        assert_eq!(line["method"], method);
        assert_eq!(line["route"], "/customers/{CustomerID}");
        assert_eq!(line["status"], status);
        assert!(line["micros"].is_u64() && line["request_id"].is_string(), "{line}");
    }
    assert!(
        lines.iter().any(|line| line["message"].as_str().unwrap().starts_with("SANDBOX")),
        "the sandbox is loud"
    );
    for word in ["Mia", "Muster", "1990-01-31"] {
        assert!(!log.contains(word), "{log}");
    }
}
