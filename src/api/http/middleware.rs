//! Around every request: its id, its log line, and the one form of errors, whatever layer they come from.

use std::{error::Error as _, panic::AssertUnwindSafe, time::Instant};

use actix_web::{
    Error, HttpMessage as _, HttpResponse, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        ConnectionType, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::health;
use crate::{
    api::{
        error::ApiError,
        operation::{Asked, Operation},
    },
    random, telemetry,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The status in the log of a request whose client did not wait for the answer. No client ever sees it.
const CLIENT_GONE: u16 = 499;

/// Customers are personal data, and a cache does not know accounts.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Responds to a request.
pub(super) async fn respond(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (id, asked) = (random::uuid(), Asked::default());
    let mut line = Line::new(id, &request, asked.clone());
    let asks_for_upgrade = request.head().connection_type() == ConnectionType::Upgrade;
    request.extensions_mut().insert(asked);
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let operation = Operation::of(response.request());
            let mut response = match response.response().error() {
                Some(error) => {
                    let error_response = error_response(error, id, operation);
                    response.into_response(error_response)
                }
                None => response.map_into_boxed_body(),
            };
            set_headers(response.headers_mut(), id);
            if asks_for_upgrade {
                // The framework would answer `Connection: upgrade`, and close the connection.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            line.answered(operation, response.status());
            Ok(response)
        }
        Ok(Err(error)) => Err(finish(error_response(&error, id, None), line)),
        Err(_panic) => {
            let error = ApiError::Internal("a handler panicked".into()).into();
            Err(finish(error_response(&error, id, None), line))
        }
    }
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

/// The log line of a request, without its path, query and body: they contain personal data. If the request is dropped
/// before there is an answer, because its client is gone, it is logged all the same: what it asked for may be done.
struct Line {
    id: Uuid,
    method: Method,
    started: Instant,
    probe: Option<&'static str>,
    asked: Asked,
    is_logged: bool,
}

impl Line {
    fn new(id: Uuid, request: &ServiceRequest, asked: Asked) -> Self {
        let (method, probe) = (request.method().clone(), health::probe(request));
        Self { id, method, started: Instant::now(), probe, asked, is_logged: false }
    }

    fn answered(&mut self, operation: Option<&'static Operation>, status: StatusCode) {
        self.log(operation, status.as_u16(), "answered");
    }

    fn log(&mut self, operation: Option<&'static Operation>, status: u16, message: &'static str) {
        let Self { id, method, .. } = self;
        let route = operation.map(Operation::path).or(self.probe).unwrap_or("-");
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if self.probe.is_some() {
            tracing::debug!(request_id = %id, %method, %route, status, micros, "{message}");
        } else {
            tracing::info!(request_id = %id, %method, %route, status, micros, "{message}");
        }
        self.is_logged = true;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_logged {
            self.log(self.asked.operation(), CLIENT_GONE, "not answered: the client is gone");
        }
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
