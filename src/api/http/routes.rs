//! The paths of the service.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route,
    guard::fn_guard,
    http::{Method, header::LOCATION},
    web::{self, Data, ServiceConfig},
};

use super::{
    documents::{self, Documents},
    health::{self, LIVE, METRICS, READY},
};
use crate::api::{
    base_path::BasePath, error::ApiError, operation::Operation, operations::operations, swagger_ui,
};

/// The path of a resource, below the base path and with its parameters by name. The resource carries it as data, so that a
/// request finds it.
#[derive(Clone, Copy)]
struct RoutePath(&'static str);

/// The path that a request asks for, without the base path and with its parameters by name, if the service has it.
pub(super) fn route(request: &HttpRequest) -> Option<&'static str> {
    request.app_data().map(|RoutePath(path)| *path)
}

/// Adds every path of the service.
pub(super) fn configure(config: &mut ServiceConfig, base_path: &BasePath) {
    let base = base_path.as_str();
    let mut paths: BTreeMap<&'static str, Vec<&'static Operation>> = BTreeMap::new();
    for operation in operations() {
        paths.entry(operation.path()).or_default().push(operation);
    }
    for (path, operations) in paths {
        let routes = operations.iter().flat_map(|operation| operation.routes());
        config.service(resource(base, path, routes));
    }
    if !base.is_empty() {
        config.service(get(base, "", to_swagger_ui));
    }
    config
        .app_data(Data::new(Documents::new(base)))
        .service(get(base, "/openapi.yaml", documents::openapi_yaml))
        .service(get(base, "/openapi.json", documents::openapi_json))
        .service(get(base, "/openapi-3.0.json", documents::openapi_3_0_json))
        .service(get(base, LIVE, health::live))
        .service(get(base, READY, health::ready))
        .service(get(base, "/", to_swagger_ui))
        .service(get(base, "/swagger-ui", to_swagger_ui))
        .service(get(base, "/swagger-ui/{file}*", swagger_ui::file))
        .default_service(web::to(not_found));
}

/// Adds every path of the listener for those who run the service.
pub(super) fn configure_admin(config: &mut ServiceConfig) {
    config
        .service(get("", METRICS, health::metrics))
        .service(get("", LIVE, health::live))
        .service(get("", READY, health::ready))
        .default_service(web::to(not_found));
}

/// A path below the base path, with its methods. Another method is refused with the list of them (RFC 9110, 15.5.6).
fn resource(base: &str, path: &'static str, routes: impl IntoIterator<Item = (Method, Route)>) -> Resource {
    let (mut resource, mut methods) = (web::resource(format!("{base}{path}")), Vec::new());
    for (method, route) in routes {
        methods.push(method.to_string());
        // The method guard of actix allocates for each request.
        resource = resource.route(route.guard(fn_guard(move |context| context.head().method == method)));
    }
    let allow = methods.join(", ");
    let refuse = move || {
        let refusal = ApiError::MethodNotAllowed { allow: allow.clone() };
        async move { Err::<HttpResponse, _>(refusal) }
    };
    resource.app_data(RoutePath(if path.is_empty() { "/" } else { path })).default_service(web::to(refuse))
}

/// Something to read that is not an operation of the contract.
fn get<H, Args>(base: &str, path: &'static str, handler: H) -> Resource
where
    H: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    resource(base, path, [(Method::GET, web::to(handler.clone())), (Method::HEAD, web::to(handler))])
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::RouteNotFound)
}

/// The location is relative, so that it is right behind a proxy that adds a prefix.
async fn to_swagger_ui(request: HttpRequest) -> HttpResponse {
    let last = request.uri().path().rsplit('/').next().unwrap_or_default();
    let location = match last {
        "" | "swagger-ui" => "swagger-ui/".to_owned(),
        base => format!("{base}/swagger-ui/"),
    };
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, location)).finish()
}
