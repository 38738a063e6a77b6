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

/// How patient the server is with a client that does not take its answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How much longer than at [`TAKE_RATE`] a client may take.
    pub(super) taking: Duration,
    /// How long it may take for one answer of HTTP/2.
    pub(super) answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { taking: TAKE_TIMEOUT, answer: ANSWER_TIMEOUT }
    }
}

/// How long a client may take to close its side, or to confirm that the connection ends.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much is read from a connection each time that the worker comes to it, in bytes. What comes with one read is dealt with,
/// or refused, before there is more of it.
pub(super) const READ_BYTES_MAX: usize = 16 * 1024;

/// How much of the next requests is read with HTTP/1.1, which answers them in order, before the one that is served is
/// answered, in bytes. A head that was read takes ten times as much room as its bytes. Not nothing, so that a client that
/// leaves is noticed.
pub(super) const AHEAD_BYTES_MAX: usize = 2 * 1024;

/// How much of an answer is handed to the connection at once, in bytes.
pub(super) const PIECE_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            budget::{
                ANSWERS_BYTES_MAX, BODIES_BYTES_MAX, CONNECTION_BYTES_MAX, WAITING_MAX, WAITING_TIMEOUT,
            },
            http::{
                gate::SERVED_MAX,
                http2::{HEADERS_BYTES_MAX, STREAMS_MAX, WINDOW_BYTES},
            },
            request::BODY_TIMEOUT,
            settings::BODY_BYTES_MAX,
        },
        model::VIOLATIONS_MAX,
        store::PAGE_BYTES_MAX,
        webhooks::{self, ENDPOINTS_MAX, HEAD_TIME_MAX, HELD_CUSTOMERS_MAX, SENDING_MAX, URL_BYTES_MAX},
    };

    const PAGE: &str = include_str!("../../../docs/operations.md");

    fn bytes(number: usize) -> String {
        const KIB: usize = 1024;
        if number.is_multiple_of(KIB * KIB) {
            format!("{} MiB", number / KIB / KIB)
        } else {
            format!("{} KiB", number / KIB)
        }
    }

    fn time(limit: Duration) -> String {
        format!("{} s", limit.as_secs())
    }

    #[test]
    fn the_table_of_limits_is_that_of_the_code() {
        let rows = [
            ("a body", bytes(BODY_BYTES_MAX)),
            ("the time for a body", time(BODY_TIMEOUT)),
            ("the time for a TLS handshake, and for the head of each request", time(REQUEST_TIMEOUT)),
            ("the headers of a request with HTTP/2", bytes(HEADERS_BYTES_MAX as usize)),
            ("requests of a connection with HTTP/2 at a time", STREAMS_MAX.to_string()),
            ("those of them that are served", SERVED_MAX.to_string()),
            (
                "what is read of further requests with HTTP/1.1, before one is answered",
                bytes(AHEAD_BYTES_MAX),
            ),
            ("bodies on their way on a connection with HTTP/2", bytes(WINDOW_BYTES as usize)),
            ("all bodies together", bytes(BODIES_BYTES_MAX)),
            ("all answers together that clients have not taken", bytes(ANSWERS_BYTES_MAX)),
            ("what a connection has besides these two", bytes(CONNECTION_BYTES_MAX)),
            ("the rate at which answers are taken", format!("{} a second", bytes(TAKE_RATE as usize))),
            ("how far a client may be behind that rate", time(TAKE_TIMEOUT)),
            ("the time for one answer with HTTP/2", time(ANSWER_TIMEOUT)),
            ("an idle connection", time(KEEP_ALIVE)),
            ("a page of a list", bytes(PAGE_BYTES_MAX)),
            (
                "lists, customers of more than 16 KiB, and large wrong bodies that wait for room",
                WAITING_MAX.to_string(),
            ),
            ("the time that they wait", time(WAITING_TIMEOUT)),
            ("violations in an answer", VIOLATIONS_MAX.to_string()),
            ("webhooks: endpoints of an account", ENDPOINTS_MAX.to_string()),
            ("webhooks: the URL of an endpoint", format!("{URL_BYTES_MAX} bytes")),
            ("webhooks: requests to an endpoint at a time", SENDING_MAX.to_string()),
            ("webhooks: customers of an endpoint that are held back", HELD_CUSTOMERS_MAX.to_string()),
            ("webhooks: the time for the head of an answer", time(HEAD_TIME_MAX)),
            ("webhooks: how much of the body of an answer is read", bytes(webhooks::BODY_BYTES_MAX)),
        ];
        let table =
            PAGE.split("| limit | number |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        for (what, number) in &rows {
            assert!(table.contains(&format!("| {what} | {number} |")), "{what}: {number}");
        }
        // The connections have a default of the command line, which `docs/configuration.md` shares.
        assert_eq!(table.lines().skip(2).count(), rows.len() + 1, "nothing else is in the table");
    }
}
