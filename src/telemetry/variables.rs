//! The variables of OpenTelemetry, by which spans are asked for.

use std::env;

/// The variables that say where spans are sent, as OpenTelemetry has them.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The error for variables of OpenTelemetry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraces {
    /// Not where spans can be sent, or not how.
    #[error(
        "an OTEL_EXPORTER_OTLP_ variable is not valid: the endpoint is an http or https URL, the protocol is http/protobuf"
    )]
    Endpoint,
    /// A file that does not hold what it should.
    #[error("the file that {variable} names {fault}")]
    File {
        /// The variable.
        variable: &'static str,
        /// What is wrong with the file.
        fault: String,
    },
    /// A client's certificate without its key, or the other way round.
    #[error("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together")]
    ClientCertificate,
}

/// Whether spans are asked for.
pub(super) fn is_asked_for() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
    let is_off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
    !is_off && ENDPOINTS.iter().any(|name| env::var_os(name).is_some_and(|endpoint| !endpoint.is_empty()))
}

/// Where spans are sent.
#[cfg(feature = "otlp")]
pub(super) fn endpoint() -> Option<String> {
    first_of(&ENDPOINTS)
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
