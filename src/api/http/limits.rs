//! What a connection may take, and how long.

use std::time::Duration;

/// How long a client may take for the TLS handshake, and again to send the head of each request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection stays open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How fast a client must take what is sent to it, in bytes a second.
pub(super) const TAKE_RATE: u32 = 16 * 1024;

/// How much longer than at [`TAKE_RATE`] a client may take.
pub(super) const TAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take for one answer of HTTP/2, however much it takes of others.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a client may take to close its side, or to confirm that the connection ends.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much of an answer is handed to the connection at once, in bytes.
pub(super) const PIECE_BYTES_MAX: usize = 16 * 1024;
