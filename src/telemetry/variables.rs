//! The variables of OpenTelemetry, by which spans are asked for.

use std::env;

/// The variables that say where spans are sent, as OpenTelemetry has them.
pub(super) const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Why spans cannot be sent as the variables of OpenTelemetry say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTraces(pub(super) String);

pub(super) fn is_asked_for() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
    let is_off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
    !is_off && ENDPOINTS.iter().any(|name| env::var_os(name).is_some_and(|endpoint| !endpoint.is_empty()))
}

/// The value of the first of these variables that is set.
#[cfg(feature = "otlp")]
pub(super) fn first_of(names: &[&'static str]) -> Option<String> {
    set_of(names).map(|(_, value)| value)
}

/// The first of these variables that is set, and its value.
#[cfg(feature = "otlp")]
pub(super) fn set_of(names: &[&'static str]) -> Option<(&'static str, String)> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value));
    names.iter().copied().find_map(set)
}
