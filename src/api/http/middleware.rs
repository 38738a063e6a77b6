//! Around every request: its id, the one form of errors, the budget of answers, and what is noted of it.

use std::panic::AssertUnwindSafe;

use actix_web::{
    Error, HttpMessage as _, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        ConnectionType,
        header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::{error_form::ErrorForm, observed::Observed, routes};
use crate::{
    account::Account,
    api::{budget::Allowance, error::ApiError, operation::OperationCell, state::Api},
    random,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Customers are personal data, and a cache does not know accounts.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) async fn respond(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (request_id, operation) = (random::uuid(), OperationCell::default());
    let mut observed = Observed::begin(request_id, &request, operation.clone());
    let asks_for_upgrade = request.head().connection_type() == ConnectionType::Upgrade;
    request.extensions_mut().insert(operation.clone());
    let errors = ErrorForm { request_id, operation };
    let failure = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let mut response = match response.response().error().map(|error| errors.response(error)) {
                Some(error_response) => response.into_response(error_response),
                None => response.map_into_boxed_body(),
            };
            response = within_budget(response, &errors);
            await_other_answers(response.request()).await;
            set_headers(response.headers_mut(), request_id);
            if asks_for_upgrade {
                // The framework would answer `Connection: upgrade`, and close the connection.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            observed.answered(routes::route(response.request()), response.status());
            return Ok(response);
        }
        Ok(Err(error)) => error,
        Err(_panic) => ApiError::Internal("a handler panicked".into()).into(),
    };
    // The framework does not give back the request.
    let mut response = errors.response(&failure);
    set_headers(response.headers_mut(), request_id);
    observed.answered(None, response.status());
    Err(InternalError::from_response("the response is complete", response).into())
}

/// The response, if there is room for its body until the client has taken it. Static files are shared, and need none.
fn within_budget(response: ServiceResponse<BoxBody>, errors: &ErrorForm) -> ServiceResponse<BoxBody> {
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
        Err(error) => errors.render(&error.into()),
    };
    ServiceResponse::new(request, response)
}

/// What was read for requests that arrived together leaves together, and wakes a client once. Each answer is counted before it
/// waits here.
async fn await_other_answers(request: &HttpRequest) {
    let is_read = request.method().is_safe() && request.extensions().contains::<Account>();
    if let Some(api) = request.app_data::<Data<Api>>().filter(|_| is_read) {
        api.store.await_others().await;
    }
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

#[cfg(test)]
mod tests {
    use actix_web::{
        App, HttpResponse, error::ErrorImATeapot, http::header::CONTENT_TYPE, middleware::from_fn, test, web,
    };
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
