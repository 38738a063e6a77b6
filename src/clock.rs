//! The only place that reads the clock.

use chrono::{DateTime, Utc};

/// The current time in UTC.
#[allow(clippy::disallowed_methods, reason = "all other code calls this function")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
