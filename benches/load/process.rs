//! The server as a process, and what the kernel knows of it.

use std::{
    fs,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use core_affinity::CoreId;

use crate::{client::Target, tls::Tls};

/// The kernel's unit of CPU time towards programs, on every architecture that Rust runs Linux on.
const TICKS_PER_SECOND: f64 = 100.0;

/// `customers-api serve`; stopped when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) target: Target,
    /// From its start to its line.
    pub(crate) ready: Duration,
}

impl Server {
    pub(crate) fn start(
        mut command: Command,
        database_url: &str,
        log: &Path,
        arguments: &[&str],
        tls: Option<Tls>,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", database_url])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut line)?;
        let ready = started.elapsed();
        let address = line.split("://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.with_context(|| format!("the server did not start: see {}", log.display()))?;
        Ok(Self { child, target: Target { address: address.parse()?, tls }, ready })
    }

    /// The CPU time that it has used, all threads together, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is a name in parentheses, which may hold spaces. utime and stime are the 14th and the 15th.
        let fields = stat.rsplit_once(')').context("the kernel's stat has another form")?.1;
        let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        ensure!(ticks.len() == 2, "the kernel's stat has another form");
        Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory { process: self.child.id() }
    }

    /// Asks it to stop, and waits.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, if all is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The memory of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    process: u32,
}

impl Memory {
    /// `VmRSS` is the memory that it occupies, `VmHWM` the most that it ever did.
    pub(crate) fn mib(self, name: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|rest| rest.split_whitespace().next()).context("no such line in status")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

/// Which core the server has, and which one the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores(Option<(CoreId, CoreId)>);

impl Cores {
    pub(crate) fn choose(pin: bool) -> anyhow::Result<Self> {
        if !pin {
            return Ok(Self(None));
        }
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let [server, load, ..] = cores[..] else { anyhow::bail!("--pin needs two cores") };
        Ok(Self(Some((server, load))))
    }

    /// Does something on the server's core. A process that is started there stays there.
    pub(crate) fn on_the_servers<T>(self, work: impl FnOnce() -> T) -> T {
        let Some((server, load)) = self.0 else { return work() };
        core_affinity::set_for_current(server);
        let done = work();
        core_affinity::set_for_current(load);
        done
    }
}
