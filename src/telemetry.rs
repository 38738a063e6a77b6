//! Logs: text for a terminal, JSON for machines, on standard error.
//!
//! Invariant: no personal data. A line names routes, statuses, key ids and causes, never a path, a query, a header or
//! a body. A panic is logged by its place, because its message may contain personal data.

use std::{error::Error, io::IsTerminal as _, panic};

use tracing_subscriber::{
    filter::Targets, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts to log. The filter is a level such as `info`, or directives such as `customers_api=debug`.
pub fn start(format: LogFormat, filter: Targets) {
    let lines = fmt::layer().with_target(false).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            registry().with(filter).with(lines.with_ansi(std::io::stderr().is_terminal())).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry().with(filter).with(lines).init();
        }
    }
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// An error and its causes, in one line.
#[must_use]
pub fn chain(error: &(dyn Error + '_)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}")).replace('\n', " ")
}
