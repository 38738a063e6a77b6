use std::time::Instant;

use actix_web::{
    dev::ServiceRequest,
    http::{
        Method, StatusCode, Version,
        header::{HeaderMap, HeaderName},
    },
    web::Data,
};
use tracing::field::display;
use uuid::Uuid;

use super::health;
use crate::{
    api::{operation::OperationCell, state::Api},
    telemetry::{ActiveRequest, Answered, Asked, OTHER_METHOD, Span, TraceParent},
};

/// Names the caller's span (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The status of a request whose client did not wait for the answer, in the log and the metrics. No client ever sees it.
const CLIENT_GONE: u16 = 499;

/// The methods that metrics name (RFC 9110, 9.1, and RFC 5789). Clients can make up others.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// The label of all paths that the service does not have.
const UNMATCHED: &str = "unmatched";

/// What clients speak to the server: `http` or `https`. The app carries it as data.
#[derive(Clone, Copy)]
pub(super) struct Scheme(pub(super) &'static str);

/// What is noted of a request: its log line, its part of the metrics and its span, without its path, query and body, which
/// contain personal data. If the request is dropped before there is an answer, because its client is gone, it is noted all
/// the same: what it asked for may be done.
pub(super) struct Observed {
    id: Uuid,
    /// The method, or what stands for one that the client made up.
    method: &'static str,
    started: Instant,
    probe: Option<&'static str>,
    operation: OperationCell,
    span: Span,
    /// With what the metrics count as active.
    measured: Option<(Data<Api>, ActiveRequest)>,
    is_noted: bool,
}

impl Observed {
    pub(super) fn begin(id: Uuid, request: &ServiceRequest, operation: OperationCell) -> Self {
        let api = request.app_data::<Data<Api>>();
        let method = known_method(request.method());
        Self {
            id,
            method,
            started: Instant::now(),
            probe: health::probe(request),
            operation,
            span: Span::begin(asked(request, method)),
            measured: api.map(|api| (Data::clone(api), api.metrics.begin_request())),
            is_noted: false,
        }
    }

    pub(super) fn answered(&mut self, route: Option<&'static str>, status: StatusCode) {
        self.note(route, status, "answered");
    }

    fn note(&mut self, route: Option<&'static str>, status: StatusCode, message: &'static str) {
        self.is_noted = true;
        let took = self.started.elapsed();
        if let Some((api, _active)) = &self.measured {
            api.metrics.note_request(self.method, route.unwrap_or(UNMATCHED), status.as_str(), took);
        }
        self.span.end(Answered { route, status: status.as_u16(), request_id: self.id });
        let Self { id, method, .. } = self;
        let trace_id = self.span.trace_id().map(display);
        let route = route.unwrap_or("-");
        let status = status.as_u16();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if self.probe.is_some() {
            tracing::debug!(request_id = %id, trace_id, %method, %route, status, micros, "{message}");
        } else {
            tracing::info!(request_id = %id, trace_id, %method, %route, status, micros, "{message}");
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.is_noted {
            let route = self.operation.get().map(|operation| operation.path()).or(self.probe);
            let status = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::REQUEST_TIMEOUT);
            self.note(route, status, "not answered: the client is gone");
        }
    }
}

/// What a span says of a request. Its path is missing, because it has an id.
fn asked(request: &ServiceRequest, method: &'static str) -> Asked {
    let scheme = request.app_data().map_or("http", |Scheme(scheme)| *scheme);
    let version = match request.version() {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    Asked { method, scheme, version, parent: trace_parent(request.headers()) }
}

fn known_method(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER_METHOD)
}

/// The caller's span. It is not known if the header is there twice.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACEPARENT);
    match (values.next(), values.next()) {
        (Some(value), None) => TraceParent::parse(value.as_bytes()),
        _ => None,
    }
}
