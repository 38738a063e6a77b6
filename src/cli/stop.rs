use std::{fs, process, thread, time::Duration};

use clap::Args;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{output, supervisor};
use crate::{api::Stopper, webhooks::Webhooks};

/// How much longer than it may the end of the process takes, if something does not react.
const LAST_RESORT: Duration = Duration::from_secs(1);

/// How the service ends.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// How many seconds accepted requests have to finish after SIGTERM or SIGINT
    #[arg(long, env = "CUSTOMERS_STOP_SECONDS", default_value_t = 7, value_name = "SECONDS")]
    stop_seconds: u16,
    /// How many seconds `/readyz` says 503 after SIGTERM or SIGINT before the service stops to listen
    #[arg(long, env = "CUSTOMERS_DRAIN_SECONDS", default_value_t = 0, value_name = "SECONDS")]
    drain_seconds: u16,
}

/// The signals that end a command.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` if whoever started the process wants it to go on, as `nohup` does.
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on, these signals no longer end the process at once, or are no longer ignored because it is the first one
    /// of a container.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose()?;
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup })
    }

    pub(super) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether SIGHUP, the first signal, was ignored when the process began.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Ends a service that was told to before it served anything, whatever it still waits for.
pub(super) fn end_before_ready() -> ! {
    tracing::info!("stopped before the service was ready");
    process::exit(0);
}

/// Has a signal end the process, whatever it waits for: the database, or its input. What was committed stays.
pub(super) fn end_on_signal() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(signals.next());
        output::note("error: interrupted by a signal");
        process::exit(1);
    })?;
    Ok(())
}

impl Stop {
    /// Waits for a signal, and stops the service. A second signal ends the process at once.
    pub(super) async fn run(self, mut signals: Signals, stopper: Stopper, webhooks: &Webhooks) {
        let drain = Duration::from_secs(self.drain_seconds.into());
        let patience = Duration::from_secs(self.stop_seconds.into());
        signals.next().await;
        tracing::info!("stopping: finishing the requests that were accepted");
        supervisor::stopping("finishing the requests that were accepted");
        exit_after(drain + patience + LAST_RESORT);
        let stopped = async { tokio::join!(stopper.stop(drain, patience), webhooks.stop(patience)).0 };
        tokio::select! {
            cut_off = stopped => if cut_off > 0 {
                tracing::warn!(cut_off, "stopped before all clients had their answers");
            },
            () = signals.next() => {
                tracing::warn!("a second signal: the process ends at once");
                process::exit(1);
            }
        }
    }
}

/// Ends the process even if a thread is stuck.
fn exit_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        tracing::warn!("a part of the service did not stop in time");
        process::exit(0);
    });
}
