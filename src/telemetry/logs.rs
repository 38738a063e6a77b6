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

use super::lines::Lines;

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
pub enum InvalidLogFilter {
    /// Not a level.
    #[error("a level is off, error, warn, info, debug or trace")]
    Level,
    /// More than one level without a target.
    #[error("one level is for the whole program: the others need a target, such as customers_api=debug")]
    Levels,
    /// A part of the program that does not exist.
    #[error("a target is, or begins with, one of {}", TARGETS.join(", "))]
    Target,
}

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

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, InvalidLogFilter> {
        let (mut level, mut directives) = (None, Vec::new());
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                Some((target, level)) => directives.push((known_target(target)?, known_level(level)?)),
                None => {
                    if level.replace(known_level(directive)?).is_some() {
                        return Err(InvalidLogFilter::Levels);
                    }
                }
            }
        }
        let level = level.unwrap_or(LEVEL);
        let is_asked_for = |quiet: &str| directives.iter().any(|(target, _)| quiet.starts_with(target));
        let quiet = QUIET.into_iter().filter(|(target, _)| !is_asked_for(target));
        let quiet = quiet.map(|(target, most)| (target, level.min(most)));
        Ok(Self(Targets::new().with_default(level).with_targets(quiet.chain(directives.iter().copied()))))
    }
}

fn known_level(name: &str) -> Result<LevelFilter, InvalidLogFilter> {
    let known = LEVELS.iter().find(|(level, _)| level.eq_ignore_ascii_case(name));
    known.map(|(_, level)| *level).ok_or(InvalidLogFilter::Level)
}

fn known_target(target: &str) -> Result<&str, InvalidLogFilter> {
    let mut path = target.split("::");
    let is_known = path.next().is_some_and(|name| TARGETS.contains(&name));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if is_known && path.all(is_name) { Ok(target) } else { Err(InvalidLogFilter::Target) }
}

/// Starts to log.
pub fn start(format: LogFormat, LogFilter(filter): LogFilter) {
    let lines = fmt::layer().with_target(false).with_writer(Lines).log_internal_errors(false);
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
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn a_filter_keeps_errors_unless_it_says_off() {
        for (text, ours, servers, clients) in [
            ("info", "info", "warn", "off"),
            ("WARN", "warn", "warn", "off"),
            ("off", "off", "off", "off"),
            ("trace", "trace", "warn", "off"),
            ("customers_api=debug", "debug", "warn", "off"),
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
                let level = known_level(level).unwrap();
                for (name, each) in LEVELS.into_iter().filter(|(_, each)| *each != LevelFilter::OFF) {
                    let is_logged = targets.would_enable(target, &each.into_level().unwrap());
                    assert_eq!(is_logged, each <= level, "{text}: {target} at {name}");
                }
            }
        }
    }

    #[test]
    fn a_word_that_is_not_understood_is_refused() {
        use InvalidLogFilter::{Level, Levels, Target};
        for (text, refused) in [
            ("warning", Level),
            ("verbose", Level),
            ("", Level),
            ("info,", Level),
            ("1", Level),
            ("customers_api", Level),
            ("customers_api=", Level),
            ("customers_api=loud", Level),
            ("customers_api=debug=info", Level),
            ("info,debug", Levels),
            ("customer_api=debug", Target),
            ("=debug", Target),
            ("customers_api::=debug", Target),
            ("customers_api[span]=debug", Target),
        ] {
            assert_eq!(text.parse::<LogFilter>(), Err(refused), "{text}");
        }
    }
}
