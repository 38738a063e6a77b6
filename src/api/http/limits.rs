//! How long a connection may take for each step.

use std::time::Duration;

/// How long a client may take for the TLS handshake, and again to send the head of a request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection stays open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);
