//! The one seam through which time comes.

use chrono::{DateTime, Utc};

/// The wall clock now, in UTC.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
