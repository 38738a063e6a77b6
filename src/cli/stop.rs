use std::{process, thread, time::Duration};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::supervisor;
use crate::api::Stopper;

/// How much longer than it may the end of the process takes, if something does not react.
const LAST_RESORT: Duration = Duration::from_secs(1);

/// How the service ends.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// How many seconds accepted requests have to finish after SIGTERM or SIGINT
    #[arg(long, env = "CUSTOMERS_STOP_SECONDS", default_value_t = 8, value_name = "SECONDS")]
    stop_seconds: u16,
    /// How many seconds `/readyz` says 503 after SIGTERM or SIGINT before the service stops to listen
    #[arg(long, env = "CUSTOMERS_DRAIN_SECONDS", default_value_t = 0, value_name = "SECONDS")]
    drain_seconds: u16,
}

/// The signals that end the service.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on, these signals no longer end the process at once.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Stop {
    /// Waits for a signal, and stops the service. A second signal ends the process at once.
    pub(super) async fn run(self, mut signals: Signals, stopper: Stopper) {
        let drain = Duration::from_secs(self.drain_seconds.into());
        let patience = Duration::from_secs(self.stop_seconds.into());
        signals.next().await;
        tracing::info!("stopping: finishing the requests that were accepted");
        supervisor::stopping("finishing the requests that were accepted");
        exit_after(drain + patience + LAST_RESORT);
        tokio::select! {
            cut_off = stopper.stop(drain, patience) => if cut_off > 0 {
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
