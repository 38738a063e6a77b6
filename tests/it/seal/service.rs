//! The real binary with a file of seal keys.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

use customers_api::record::generate_key_line;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Answer, Client, Database, Engine, Service, command};

/// A database, a file with the key `k1`, and a log.
pub(super) struct Place {
    pub(super) database: Database,
    pub(super) keys: String,
    directory: TempDir,
}

impl Place {
    pub(super) async fn new(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("seal-keys").to_str().unwrap().to_owned();
        let place = Self { database: engine.database().await, keys, directory };
        place.write_keys(&generate_key_line("k1"));
        place
    }

    pub(super) fn write_keys(&self, text: &str) {
        // Renamed, as an operator's tools do, so that no half of a file is ever read.
        let next = format!("{}.next", self.keys);
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&next, &self.keys).unwrap();
    }

    pub(super) fn read_keys(&self) -> String {
        fs::read_to_string(&self.keys).unwrap()
    }

    pub(super) fn set_mode(&self, mode: u32) {
        fs::set_permissions(&self.keys, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    pub(super) fn log_lines(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// A service that seals.
    pub(super) fn serve(&self) -> Running {
        self.start(&["--sandbox", "--seal-keys", &self.keys])
    }

    pub(super) fn serve_plain(&self) -> Running {
        self.start(&["--sandbox"])
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let service = Service::start(&self.database.url, &self.log_file(), arguments);
        Running { service, client: Client::new() }
    }

    pub(super) fn output(&self, arguments: &[&str]) -> Output {
        command().args(arguments).args(["--database-url", &self.database.url]).output().unwrap()
    }

    /// Runs a command to its end: its exit code, and what it printed on standard output.
    pub(super) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// Why a start is refused.
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        let arguments = [&["serve", "--listen", "127.0.0.1:0", "--log", "off"], arguments].concat();
        let output = self.output(&arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "it was never ready");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// What `seal status` says: a line for each key, such as `k1 5`.
pub(super) fn counts(place: &Place) -> Vec<String> {
    let (code, status) = place.run(&["seal", "status"]);
    assert_eq!(code, 0);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    status.lines().skip(1).map(words).collect()
}

/// A service in the sandbox; killed when it is dropped.
pub(super) struct Running {
    service: Service,
    client: Client,
}

impl Running {
    /// Ends it as an operator does.
    pub(super) fn stop(self) {
        self.service.signal("-TERM");
        assert!(self.service.wait().success());
    }

    fn url(&self, customer_id: &str) -> String {
        format!("http://{}/customers/{customer_id}", self.service.address)
    }

    pub(super) async fn put(&self, customer_id: &str, customer: &Value) -> Answer {
        self.client.put(self.url(customer_id)).json(customer.to_string()).send().await
    }

    pub(super) async fn get(&self, customer_id: &str) -> Answer {
        self.client.get(self.url(customer_id)).send().await
    }
}

/// All bytes of a database: of SQLite's files, or what `pg_dump` prints.
pub(super) fn dump(database: &Database) -> Vec<u8> {
    if let Some(path) = database.url.strip_prefix("sqlite:") {
        return ["", "-wal"].map(|suffix| fs::read(format!("{path}{suffix}")).unwrap()).concat();
    }
    let output = crate::postgres_cluster::program("pg_dump").arg(&database.url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
