//! When what failed is tried again.

use std::time::Duration;

use crate::random;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// How long to wait after each try that failed; after the last step, it is always the last one again.
#[derive(Debug, Clone, Copy)]
pub struct Steps(pub &'static [Duration]);

impl Default for Steps {
    fn default() -> Self {
        const STEPS: [Duration; 8] = [
            Duration::from_secs(5),
            Duration::from_secs(30),
            minutes(5),
            minutes(30),
            minutes(2 * 60),
            minutes(5 * 60),
            minutes(10 * 60),
            minutes(12 * 60),
        ];
        Self(&STEPS)
    }
}

impl Steps {
    /// How long to wait after so many tries, at least one, give or take a fifth, so that not all come back at the same time.
    pub(super) fn after(self, tries: i64) -> Duration {
        let Self(steps) = self;
        let index = usize::try_from(tries).unwrap_or_default().saturating_sub(1);
        let step = steps.get(index).or(steps.last()).copied().unwrap_or_default();
        let random = f64::from(u32::from_le_bytes(random::bytes()));
        step.mul_f64(0.8 + 0.4 * random / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_waits_longer_and_none_longer_than_twelve_hours() {
        let hours = |hours: u64| 60 * 60 * hours;
        for (tries, seconds) in [
            (1, 5),
            (2, 30),
            (3, 300),
            (4, 1_800),
            (5, hours(2)),
            (6, hours(5)),
            (7, hours(10)),
            (8, hours(12)),
            (9, hours(12)),
            (1_000, hours(12)),
        ] {
            let step = Duration::from_secs(seconds);
            let (least, most) = (step.mul_f64(0.8), step.mul_f64(1.2));
            let drawn: Vec<Duration> = (0..100).map(|_| Steps::default().after(tries)).collect();
            assert!(drawn.iter().all(|drawn| (least..=most).contains(drawn)), "{tries}: {drawn:?}");
            assert!(drawn.iter().any(|drawn| *drawn != drawn.mul_f64(1.0) || *drawn != step), "{tries}");
        }
    }
}
