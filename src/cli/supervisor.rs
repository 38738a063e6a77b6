//! What systemd is told if it started the process as a service of the type `notify`.

use std::{convert::Infallible, future::pending, time::Duration};

use sd_notify::NotifyState;
use tokio::time::interval;

use crate::telemetry::Outage;

pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Says again and again that the process is alive, if systemd watches it (`WatchdogSec`).
pub(super) async fn stay_alive() -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else { return pending().await };
    let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    static OUTAGE: Outage = Outage::new();
    let (fails, is_over) =
        ("systemd was not told how the service is", "systemd is told again how the service is");
    OUTAGE.note(&sd_notify::notify(states), fails, is_over);
}
