//! Spans over OTLP/HTTP.
//!
//! A span goes into a bounded queue, and a thread of its own sends what is there. If nobody takes the spans, they are
//! dropped: no request waits for them. A span says what the log line says, and nothing more of the request.

use std::{future::Future, pin::Pin, sync::OnceLock, time::Duration};

use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId as OtlpTraceId,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use ureq::{Agent, tls::TlsConfig};

use super::{
    otlp_tls::tls_config,
    outage::Outage,
    request::{Answered, Asked, OTHER_METHOD},
    trace_parent::{TraceId, TraceParent},
    variables::{ENDPOINTS, InvalidTraces, first_of},
};

/// How long the end of the process waits until the last spans are sent.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a collector may take to answer, unless [`TIMEOUTS`] say otherwise.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

const PROTOCOL: &str = "http/protobuf";

const SERVICE_NAME: &str = "customers-api";

const INVALID: &str = "an OTEL_EXPORTER_OTLP_ variable is not valid: the endpoint is an http or https URL, the protocol is \
    http/protobuf";

/// What the SDK calls a service whose name is not set.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// The largest answer of a collector that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// There is one for the process, as there is one log.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Sends spans until it is dropped.
#[derive(Debug)]
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends spans to where the variables of OpenTelemetry say.
    pub(super) fn start() -> Result<Self, InvalidTraces> {
        let is_http =
            |endpoint: String| ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme));
        let is_known = first_of(&PROTOCOLS).is_none_or(|protocol| protocol == PROTOCOL);
        let invalid = || InvalidTraces(INVALID.to_owned());
        if !is_known || !first_of(&ENDPOINTS).is_some_and(is_http) {
            return Err(invalid());
        }
        let exporter =
            SpanExporter::builder().with_http().with_http_client(Client::new(tls_config()?)).build();
        let exporter = exporter.map_err(|_| invalid())?;
        let provider =
            SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build();
        TRACER.get_or_init(|| provider.tracer(SERVICE_NAME));
        Ok(Self(provider))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(STOP_TIMEOUT) {
            tracing::warn!(cause = %error, "the last spans were not sent");
        }
    }
}

/// What all spans say: the variables of OpenTelemetry win.
fn resource() -> Resource {
    let resource = Resource::builder().build();
    let name = resource.get(&"service.name".into()).map(|name| name.to_string());
    let mut builder = Resource::builder();
    if name.is_none_or(|name| name.starts_with(UNKNOWN_SERVICE)) {
        builder = builder.with_service_name(SERVICE_NAME);
    }
    if resource.get(&"service.version".into()).is_none() {
        builder = builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    builder.build()
}

/// The span of a request, which is sent when it has ended.
#[derive(Debug)]
pub(super) struct Recorded {
    span: SdkSpan,
    method: &'static str,
}

impl Recorded {
    /// `None` if no spans are sent.
    pub(super) fn begin(asked: Asked) -> Option<Self> {
        let Asked { method, scheme, version, parent } = asked;
        let tracer = TRACER.get()?;
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", scheme),
            KeyValue::new("network.protocol.version", version),
        ];
        let span =
            SpanBuilder::from_name(name(method)).with_kind(SpanKind::Server).with_attributes(attributes);
        let context = parent
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(remote(parent)));
        Some(Self { span: tracer.build_with_context(span, &context), method })
    }

    pub(super) fn trace_id(&self) -> TraceId {
        TraceId(u128::from_be_bytes(self.span.span_context().trace_id().to_bytes()))
    }

    pub(super) fn end(&mut self, answered: Answered) {
        let Answered { route, status, request_id } = answered;
        if let Some(route) = route {
            self.span.update_name(format!("{} {route}", name(self.method)));
            self.span.set_attribute(KeyValue::new("http.route", route));
        }
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        self.span.set_attribute(KeyValue::new("http.response.header.x-request-id", request_id.to_string()));
        if status >= 500 {
            self.span.set_attribute(KeyValue::new("error.type", status.to_string()));
            self.span.set_status(Status::error(""));
        }
        self.span.end();
    }
}

/// The name of a span whose route is not known.
fn name(method: &'static str) -> &'static str {
    if method == OTHER_METHOD { "HTTP" } else { method }
}

fn remote(parent: TraceParent) -> SpanContext {
    let TraceParent { trace_id: TraceId(trace_id), parent_id, is_sampled } = parent;
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace_id, parent_id) = (OtlpTraceId::from(trace_id), SpanId::from(parent_id));
    SpanContext::new(trace_id, parent_id, flags, true, TraceState::NONE)
}

/// Sends to a collector, and blocks the thread of the SDK meanwhile.
#[derive(Debug)]
struct Client {
    agent: Agent,
    outage: Outage,
}

impl Client {
    fn new(tls: TlsConfig) -> Self {
        let millis = first_of(&TIMEOUTS).and_then(|millis| millis.parse().ok());
        let config = Agent::config_builder()
            .timeout_global(Some(millis.map_or(ANSWER_TIMEOUT, Duration::from_millis)))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls);
        Self { agent: config.build().new_agent(), outage: Outage::new() }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(head, body.as_ref()))?;
        let (head, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    /// Logs the first failure, and the first success after it. The address may hold a password, so it is not logged.
    fn log(&self, sent: &Result<Response<Bytes>, ureq::Error>) {
        let failure = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers with status {}", answer.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        match failure {
            Some(cause) => self.outage.go_on(&cause, "spans cannot be sent"),
            None => self.outage.end("spans are sent again"),
        }
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'client, 'sending>(&'client self, request: Request<Bytes>) -> Sending<'sending>
    where
        'client: 'sending,
        Self: 'sending,
    {
        Box::pin(async move {
            let sent = self.send(request);
            self.log(&sent);
            Ok(sent?)
        })
    }
}
