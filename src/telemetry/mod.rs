//! What the service tells those who run it: logs, metrics, traces.
//!
//! Invariant: no personal data. A line, a label and a span name routes, statuses, key ids and causes, never a path, a
//! query, a header or a body.

mod chain;
mod logs;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
mod otlp_tls;
mod outage;
mod process;
mod request;
mod trace_parent;
mod traces;
mod variables;

pub use chain::chain;
pub use logs::{InvalidLogFilter, LogFilter, LogFormat, start};
pub use metrics::{
    ActiveRequest, CertificateExpiry, DeliveryResult, EventKind, METRICS_MEDIA_TYPE, Metrics, MetricsError,
    SignatureResult, State, StoreMetrics, WebhookMetrics, WriteOutcome,
};
pub use outage::Outage;
pub use request::{Answered, Asked, OTHER_METHOD};
pub use trace_parent::{TraceId, TraceParent};
pub use traces::{Span, Traces};
pub use variables::InvalidTraces;
