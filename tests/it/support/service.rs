//! The real binary as a process.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::ports::reserved_port;

/// The binary under test. It does not ignore SIGHUP, although the tests may have been started by somebody who does.
pub(crate) fn command() -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_customers-api")]);
    let is_ours = |name: &str| {
        name == "DATABASE_URL" || ["CUSTOMERS_", "OTEL_"].iter().any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    command
}

/// `customers-api serve` on a free port; killed when it is dropped.
pub(crate) struct Service {
    /// Where it listens, such as `127.0.0.1:40000`.
    pub(crate) address: String,
    /// Where it listens for those who run it, if it does.
    pub(crate) admin: Option<String>,
    child: Child,
}

impl Service {
    /// Starts it, and waits for its line. Its log goes to a file.
    pub(crate) fn start(database_url: &str, log: &Path, arguments: &[&str]) -> Self {
        Self::start_with(database_url, log, arguments, &[])
    }

    /// The same with environment variables.
    pub(crate) fn start_with(
        database_url: &str,
        log: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        // Once it has ended, no other test answers at its address.
        let address = format!("127.0.0.1:{}", reserved_port());
        let listen: &[&str] = if arguments.contains(&"--listen") { &[] } else { &["--listen", &address] };
        let mut child = command()
            .args(["serve", "--database-url", database_url])
            .args(listen)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut addresses = line.split("://").skip(1).filter_map(|rest| rest.split('/').next());
        let address =
            addresses.next().unwrap_or_else(|| panic!("ready: {line:?} {:?}", std::fs::read_to_string(log)));
        let admin = addresses.next().map(str::to_owned);
        Self { address: address.to_owned(), admin, child }
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts it with a standard output that nobody reads, or that is full, and waits for the line in its log.
    pub(crate) fn start_unheard(database_url: &str, log: &Path, is_full: bool) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        let mut child = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", database_url])
            .stdout(if is_full { full() } else { Stdio::from(writer) })
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        loop {
            let lines = std::fs::read_to_string(log).unwrap();
            let address = lines.split("address=").nth(1).and_then(|rest| rest.split_once(' '));
            if let Some((address, _)) = address {
                return Self { address: address.to_owned(), admin: None, child };
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended: {lines}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
