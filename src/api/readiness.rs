//! Whether requests can be sent here.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, watch};

use crate::{registry::Registry, store::Store, telemetry::chain};

/// How long a finding is told to others. A check opens files, so that many probes at once must not mean many checks.
const FINDING_AGE_MAX: Duration = Duration::from_millis(100);

/// The check of all parts that a request needs.
pub(super) struct Readiness {
    is_stopping: watch::Sender<bool>,
    last: Mutex<Option<(Instant, Result<(), NotReady>)>>,
}

/// The part that is not ready, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotReady {
    pub(super) part: &'static str,
    pub(super) cause: String,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self { is_stopping: watch::Sender::new(false), last: Mutex::new(None) }
    }

    /// From now on, nothing is ready.
    pub(super) fn stop(&self) {
        self.is_stopping.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.is_stopping.borrow()
    }

    pub(super) async fn stopped(&self) {
        // The sender is there as long as this is.
        let _ = self.is_stopping.subscribe().wait_for(|is_stopping| *is_stopping).await;
    }

    /// Checks one part after the other. Probes that come together share one check.
    pub(super) async fn check(&self, store: &Store, registry: &Registry) -> Result<(), NotReady> {
        if self.is_stopping() {
            return Err(not_ready("server", "it is stopping"));
        }
        let mut last = self.last.lock().await;
        if let Some((at, finding)) = &*last
            && at.elapsed() < FINDING_AGE_MAX
        {
            return finding.clone();
        }
        let finding = check(store, registry).await;
        *last = Some((Instant::now(), finding.clone()));
        finding
    }
}

async fn check(store: &Store, registry: &Registry) -> Result<(), NotReady> {
    registry.check().map_err(|error| not_ready("keys", error))?;
    store.check().await.map_err(|error| not_ready("database", chain(&error)))
}

fn not_ready(part: &'static str, cause: impl fmt::Display) -> NotReady {
    NotReady { part, cause: cause.to_string() }
}
