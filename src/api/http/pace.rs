//! How fast the client of a connection takes what is sent to it.

use std::time::{Duration, Instant};

use super::limits::TAKE_RATE;

/// Only the time in which something waits for the client counts. What it takes earns time at [`TAKE_RATE`].
pub(super) struct Pace {
    /// How long things may wait for the client.
    patience: Duration,
    /// How many parts of answers wait until the client takes them.
    stalls: usize,
    /// Since when they do, without the time that is in `waited`.
    since: Instant,
    waited: Duration,
}

impl Pace {
    pub(super) fn new(now: Instant, patience: Duration) -> Self {
        Self { patience, stalls: 0, since: now, waited: Duration::ZERO }
    }

    /// One more part of an answer waits.
    pub(super) fn stall(&mut self, now: Instant) {
        self.settle(now);
        self.stalls += 1;
    }

    /// A part of an answer waits no longer.
    pub(super) fn resume(&mut self, now: Instant) {
        self.settle(now);
        self.stalls -= 1;
    }

    pub(super) fn took(&mut self, bytes: usize, now: Instant) {
        self.settle(now);
        self.waited = self.waited.saturating_sub(Duration::from_secs(bytes as u64) / TAKE_RATE);
    }

    /// When the client must have taken more; `None` if nothing waits for it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.stalls > 0).then(|| self.since + self.patience.saturating_sub(self.waited))
    }

    fn settle(&mut self, now: Instant) {
        if self.stalls > 0 {
            self.waited += now - self.since;
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::limits::TAKE_TIMEOUT, *};

    const SECOND: Duration = Duration::from_secs(1);

    /// After how many seconds a client is too slow that takes so many bytes each second.
    fn too_slow_after(bytes: u32) -> Option<u32> {
        let start = Instant::now();
        let mut pace = Pace::new(start, TAKE_TIMEOUT);
        pace.stall(start);
        (1..10_000).find(|second| {
            let now = start + *second * SECOND;
            let is_late = pace.deadline().is_some_and(|deadline| deadline <= now);
            pace.took(bytes as usize, now);
            is_late
        })
    }

    #[test]
    fn a_client_must_take_a_minimum_each_second() {
        assert_eq!(too_slow_after(0), Some(30));
        assert_eq!(too_slow_after(1), Some(31));
        assert_eq!(too_slow_after(TAKE_RATE / 2), Some(59));
        assert_eq!(too_slow_after(TAKE_RATE), None);
    }

    #[test]
    fn only_the_time_in_which_something_waits_counts() {
        let start = Instant::now();
        let mut pace = Pace::new(start, TAKE_TIMEOUT);
        assert_eq!(pace.deadline(), None);
        pace.stall(start + 100 * SECOND);
        pace.stall(start + 105 * SECOND);
        assert_eq!(pace.deadline(), Some(start + 130 * SECOND));
        pace.resume(start + 110 * SECOND);
        pace.resume(start + 111 * SECOND);
        assert_eq!(pace.deadline(), None);
        pace.stall(start + 1000 * SECOND);
        assert_eq!(pace.deadline(), Some(start + 1019 * SECOND), "11 seconds of before count");
        pace.took(11 * TAKE_RATE as usize, start + 1000 * SECOND);
        assert_eq!(pace.deadline(), Some(start + 1030 * SECOND), "they are earned back");
    }
}
