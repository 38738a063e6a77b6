//! Traces: the trace that a request belongs to, and with the feature `otlp` its span.

#[cfg(feature = "otlp")]
use super::otlp;
use super::{
    request::{Answered, Asked},
    trace_parent::TraceId,
    variables::{InvalidTraces, is_asked_for},
};

/// Spans are sent until this is dropped, which waits for at most 2 seconds.
#[derive(Debug)]
pub struct Traces {
    #[cfg(feature = "otlp")]
    _exporter: Option<otlp::Exporter>,
}

impl Traces {
    /// Sends the spans of requests to where the variables of OpenTelemetry say, if they do.
    pub fn start() -> Result<Self, InvalidTraces> {
        #[cfg(feature = "otlp")]
        return Ok(Self { _exporter: is_asked_for().then(otlp::Exporter::start).transpose()? });
        #[cfg(not(feature = "otlp"))]
        {
            if is_asked_for() {
                tracing::warn!("no spans are sent: this build does not have the feature otlp");
            }
            Ok(Self {})
        }
    }
}

/// The span of a request. Nothing is recorded unless [`Traces`] is started.
#[derive(Debug)]
pub struct Span {
    trace_id: Option<TraceId>,
    #[cfg(feature = "otlp")]
    recorded: Option<otlp::Recorded>,
}

impl Span {
    /// The request begins.
    pub fn begin(asked: Asked) -> Self {
        let trace_id = asked.parent.map(|parent| parent.trace_id);
        #[cfg(feature = "otlp")]
        if let Some(recorded) = otlp::Recorded::begin(asked) {
            return Self { trace_id: Some(recorded.trace_id()), recorded: Some(recorded) };
        }
        Self {
            trace_id,
            #[cfg(feature = "otlp")]
            recorded: None,
        }
    }

    /// The trace that the request belongs to.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// The request has its answer.
    #[cfg_attr(
        not(feature = "otlp"),
        allow(clippy::unused_self, unused_variables, reason = "spans are not built in")
    )]
    pub fn end(&mut self, answered: Answered) {
        #[cfg(feature = "otlp")]
        if let Some(recorded) = &mut self.recorded {
            recorded.end(answered);
        }
    }
}
