//! Logs: text for a terminal, JSON for machines, on standard error.
//!
//! A panic is logged by its place, because its message may contain personal data.

use std::{io::IsTerminal as _, panic, str::FromStr};

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged: a level such as `info`, and directives such as `customers_api=debug` for a part of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFilter(Targets);

/// Why a text is not a [`LogFilter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a level (off, error, warn, info, debug or trace), and directives such as customers_api=debug, each once; \
     a target is, or begins with, one of {}",
    TARGETS.join(", ")
)]
pub struct InvalidLogFilter;

/// The level of what no directive names.
const LEVEL: LevelFilter = LevelFilter::INFO;

/// The crates that log.
const TARGETS: [&str; 6] =
    ["customers_api", "actix_codec", "actix_http", "actix_router", "actix_server", "actix_web"];

/// What is not logged until a directive asks for it: the steps of the server's start and stop, and the bytes of clients
/// that are not HTTP, which actix calls errors. No directive can ask for h2, which logs paths.
const QUIET: [(&str, LevelFilter); 5] = [
    ("actix_server", LevelFilter::WARN),
    ("actix_http", LevelFilter::ERROR),
    ("actix_http::h1::decoder", LevelFilter::OFF),
    ("actix_http::h1::dispatcher", LevelFilter::OFF),
    ("h2", LevelFilter::OFF),
];

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, InvalidLogFilter> {
        let text = text.replace(", ", ",");
        let asked: Targets = text.parse().map_err(|_| InvalidLogFilter)?;
        // The library keeps one of two that are equal, and takes an empty level for `error`.
        let directives = asked.iter().count() + usize::from(asked.default_level().is_some());
        let is_each_once = directives == text.split(',').count();
        let has_levels = text.split(',').all(|directive| !directive.is_empty() && !directive.ends_with('='));
        if !is_each_once || !has_levels || !asked.iter().all(|(target, _)| is_known(target)) {
            return Err(InvalidLogFilter);
        }
        let level = asked.default_level().unwrap_or(LEVEL);
        let is_asked_for = |quiet: &str| asked.iter().any(|(target, _)| quiet.starts_with(target));
        let quiet = QUIET.into_iter().filter(|(target, _)| !is_asked_for(target));
        let quiet: Vec<_> = quiet.map(|(target, most)| (target, level.min(most))).collect();
        Ok(Self(asked.with_default(level).with_targets(quiet)))
    }
}

fn is_known(target: &str) -> bool {
    target.split("::").next().is_some_and(|name| TARGETS.contains(&name))
}

/// Starts to log.
pub fn start(format: LogFormat, LogFilter(filter): LogFilter) {
    let lines = fmt::layer().with_target(false).with_writer(std::io::stderr).log_internal_errors(false);
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

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_filter_keeps_errors_unless_it_says_off() {
        for (text, ours, servers, clients) in [
            ("info", "info", "warn", "off"),
            ("WARN", "warn", "warn", "off"),
            ("off", "off", "off", "off"),
            ("trace", "trace", "warn", "off"),
            ("customers_api=debug", "debug", "warn", "off"),
            ("customers_api", "trace", "warn", "off"),
            ("error, customers_api::registry=trace", "error", "error", "off"),
            ("actix_http=debug", "info", "warn", "debug"),
            ("off,actix_server=info", "off", "info", "off"),
        ] {
            let LogFilter(targets) = text.parse().unwrap();
            for (target, level) in [
                ("customers_api", ours),
                ("actix_server::builder", servers),
                ("actix_http::h1::decoder", clients),
            ] {
                let level: LevelFilter = level.parse().unwrap();
                for each in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                    let is_logged = targets.would_enable(target, &each);
                    assert_eq!(is_logged, each <= level, "{text}: {target} at {each}");
                }
            }
        }
    }

    #[test]
    fn a_word_that_is_not_understood_is_refused() {
        for text in [
            "warning",
            "verbose",
            "",
            "info,",
            ",info",
            "customers_api=",
            "customers_api=,info",
            "customers_api=loud",
            "customers_api=debug=info",
            "info,debug",
            "actix_web=info,actix_web=debug",
            "customer_api=debug",
            "customers_apis=debug",
            "=debug",
            "customers_api[span]=debug",
            "h2=debug",
        ] {
            assert_eq!(text.parse::<LogFilter>(), Err(InvalidLogFilter), "{text}");
        }
    }
}
