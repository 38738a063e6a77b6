//! What fails is tried again, and the log says so once.

use std::{
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::chain::chain;

/// Since when something fails, if it does.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Of something that has not failed yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Notes how an attempt went. The log has a line for the first one that fails, and one for the first one after it that
    /// does not. The failures between them are logged for those who look for the cause (`debug`).
    pub fn note<T, E: Error>(&self, tried: &Result<T, E>, fails: &str, is_over: &str) {
        match tried {
            Ok(_) => self.end(is_over),
            Err(error) => self.go_on(&chain(error), fails),
        }
    }

    /// Notes a failure.
    pub fn go_on(&self, cause: &str, fails: &str) {
        let mut since = self.since();
        let is_first = since.is_none();
        since.get_or_insert_with(Instant::now);
        drop(since);
        if is_first {
            tracing::warn!(cause, "{fails}");
        } else {
            tracing::debug!(cause, "{fails}");
        }
    }

    /// Notes a success.
    pub fn end(&self, is_over: &str) {
        let since = self.since().take();
        if let Some(since) = since {
            tracing::info!(seconds = since.elapsed().as_secs(), "{is_over}");
        }
    }

    /// For how long it has failed; nothing if it does not.
    pub fn time(&self) -> Duration {
        self.since().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// No code that could panic runs under the lock.
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
