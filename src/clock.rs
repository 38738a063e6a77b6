//! The only place that reads the clock.

use chrono::{DateTime, Utc};

/// The current time in UTC.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "all other code calls this function")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
