//! Around every request: its id, its log line, and the one form of errors, from every layer.

use std::{error::Error as _, panic::AssertUnwindSafe, time::Instant};

use actix_web::{
    Error, HttpMessage as _, HttpResponse, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        ConnectionType, Method, StatusCode, Version,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt as _;
use tracing::field::display;
use uuid::Uuid;

use super::{health, routes};
use crate::{
    account::Account,
    api::{
        budget::Allowance,
        error::ApiError,
        operation::{Operation, OperationCell},
        state::Api,
    },
    random,
    telemetry::{self, ActiveRequest, Answered, OTHER_METHOD, Span, TraceParent},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names the caller's span (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The status of a request whose client did not wait for the answer, in the log and the metrics. No client ever sees it.
const CLIENT_GONE: u16 = 499;

/// The methods that metrics name (RFC 9110, 9.1, and RFC 5789). Clients can make up others.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// The label of all paths that the service does not have.
const UNMATCHED: &str = "unmatched";

/// Customers are personal data, and a cache does not know accounts.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What clients speak to the server: `http` or `https`. The app carries it as data.
#[derive(Clone, Copy)]
pub(super) struct Scheme(pub(super) &'static str);

/// Responds to a request.
pub(super) async fn respond(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (id, asked) = (random::uuid(), OperationCell::default());
    let mut line = Line::new(id, &request, asked.clone());
    let asks_for_upgrade = request.head().connection_type() == ConnectionType::Upgrade;
    request.extensions_mut().insert(asked.clone());
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let operation = asked.get().copied();
            let mut response = match response.response().error() {
                Some(error) => {
                    let error_response = error_response(error, id, operation);
                    response.into_response(error_response)
                }
                None => response.map_into_boxed_body(),
            };
            response = within_budget(response, id, operation);
            set_headers(response.headers_mut(), id);
            if asks_for_upgrade {
                // The framework would answer `Connection: upgrade`, and close the connection.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            line.answered(routes::route(response.request()), response.status());
            Ok(response)
        }
        Ok(Err(error)) => Err(finish(error_response(&error, id, None), line)),
        Err(_panic) => {
            let error = ApiError::Internal("a handler panicked".into()).into();
            Err(finish(error_response(&error, id, None), line))
        }
    }
}

/// The response, if there is room for its body until the client has taken it. Static files are shared, and need none.
fn within_budget(
    response: ServiceResponse<BoxBody>,
    id: Uuid,
    operation: Option<&'static Operation>,
) -> ServiceResponse<BoxBody> {
    let Some(api) = response.request().app_data::<Data<Api>>() else { return response };
    let account = response.request().extensions().get::<Account>().cloned();
    let share = api.answers.share(Allowance::of(response.request())).of(account);
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let kept = match body.try_into_bytes() {
        Ok(bytes) if bytes.is_unique() => share.keep(bytes).map(BoxBody::new),
        Ok(bytes) => Ok(BoxBody::new(bytes)),
        Err(body) => Ok(body),
    };
    let response = match kept {
        Ok(body) => response.set_body(body),
        Err(error) => render(&error.into(), id, operation),
    };
    ServiceResponse::new(request, response)
}

/// The response to an error: one of ours as it is, one of the framework by its status.
fn error_response(error: &Error, id: Uuid, operation: Option<&'static Operation>) -> HttpResponse {
    if let Some(error) = error.as_error::<ApiError>() {
        return render(error, id, operation);
    }
    let error = match error.as_response_error().status_code() {
        StatusCode::NOT_FOUND => ApiError::RouteNotFound,
        status if status.is_client_error() => ApiError::Malformed,
        _ => ApiError::Internal(error.to_string().into()),
    };
    render(&error, id, operation)
}

fn render(error: &ApiError, id: Uuid, operation: Option<&'static Operation>) -> HttpResponse {
    if let Some(cause) = error.source() {
        tracing::error!(request_id = %id, cause = %telemetry::chain(cause), "{error}");
    }
    let body = error.body(id, operation.map(Operation::id));
    let mut response = error.error_response();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.set_body(BoxBody::new(serde_json::to_vec(&body).unwrap_or_default()))
}

/// Finishes the response to a request that the framework does not give back.
fn finish(mut response: HttpResponse, mut line: Line) -> Error {
    set_headers(response.headers_mut(), line.id);
    line.answered(None, response.status());
    InternalError::from_response("the response is complete", response).into()
}

fn set_headers(headers: &mut HeaderMap, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
        headers.insert(REQUEST_ID, id);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
}

/// The log line of a request, and its part of the metrics, without its path, query and body: they contain personal data.
/// If the request is dropped before there is an answer, because its client is gone, it is noted all the same: what it
/// asked for may be done.
struct Line {
    id: Uuid,
    /// The method, or what stands for one that the client made up.
    method: &'static str,
    started: Instant,
    probe: Option<&'static str>,
    span: Span,
    asked: OperationCell,
    measured: Option<Measured>,
    is_noted: bool,
}

/// A request that the metrics count.
struct Measured {
    api: Data<Api>,
    _active: ActiveRequest,
}

impl Line {
    fn new(id: Uuid, request: &ServiceRequest, asked: OperationCell) -> Self {
        let api = request.app_data::<Data<Api>>();
        let method = known_method(request.method());
        Self {
            id,
            method,
            started: Instant::now(),
            probe: health::probe(request),
            span: Span::begin(asked_for(request, method)),
            asked,
            measured: api.map(|api| Measured { api: Data::clone(api), _active: api.metrics.begin_request() }),
            is_noted: false,
        }
    }

    fn answered(&mut self, route: Option<&'static str>, status: StatusCode) {
        self.note(route, status, "answered");
    }

    fn note(&mut self, route: Option<&'static str>, status: StatusCode, message: &'static str) {
        self.is_noted = true;
        let took = self.started.elapsed();
        if let Some(Measured { api, _active: _ }) = &self.measured {
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

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_noted {
            let route = self.asked.get().map(|operation| operation.path()).or(self.probe);
            let status = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::REQUEST_TIMEOUT);
            self.note(route, status, "not answered: the client is gone");
        }
    }
}

/// What a span says of a request. Its path is missing, because it has an id.
fn asked_for(request: &ServiceRequest, method: &'static str) -> telemetry::Asked {
    let scheme = request.app_data().map_or("http", |Scheme(scheme)| *scheme);
    let version = match request.version() {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    telemetry::Asked { method, scheme, version, parent: trace_parent(request.headers()) }
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

#[cfg(test)]
mod tests {
    use actix_web::{App, error::ErrorImATeapot, middleware::from_fn, test, web};
    use serde_json::Value;

    use super::*;

    #[allow(clippy::panic, reason = "the response to a panic is tested")]
    async fn panics() -> HttpResponse {
        panic!("Mia Muster")
    }

    async fn fails() -> Result<HttpResponse, ApiError> {
        Err(ApiError::Internal("the password is secret".into()))
    }

    async fn is_refused_by_the_framework() -> Result<HttpResponse, Error> {
        Err(ErrorImATeapot("Mia Muster"))
    }

    #[actix_web::test]
    async fn every_failure_has_the_one_form_of_errors_and_tells_no_cause() {
        let app = App::new()
            .route("/panics", web::get().to(panics))
            .route("/fails", web::get().to(fails))
            .route("/refused", web::get().to(is_refused_by_the_framework))
            .wrap(from_fn(respond));
        let app = test::init_service(app).await;
        for (path, status, error_type) in [
            ("/panics", 500, "Unexpected"),
            ("/fails", 500, "Unexpected"),
            ("/refused", 400, "InvalidMessage"),
        ] {
            let request = test::TestRequest::get().uri(path).to_request();
            let response = match test::try_call_service(&app, request).await {
                Ok(response) => response.into_parts().1,
                Err(error) => HttpResponse::from_error(error),
            };
            assert_eq!(response.status().as_u16(), status, "{path}");
            let id = response.headers().get(REQUEST_ID).unwrap().to_str().unwrap().to_owned();
            assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/json");
            let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["Type"], &body["Instance"]), (&error_type.into(), &id.into()), "{path}");
            assert!(!body.to_string().contains("Muster") && !body.to_string().contains("secret"), "{body}");
        }
    }
}
