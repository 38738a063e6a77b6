//! The paths of the service.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route,
    guard::fn_guard,
    http::{
        Method,
        header::{CONTENT_TYPE, LOCATION},
    },
    web::{self, ServiceConfig},
};

use super::health::{self, LIVE, READY};
use crate::{
    api::{
        base_path::BasePath,
        customers::operations,
        error::ApiError,
        operation::{Operation, PathOperations},
        swagger_ui,
    },
    contract,
};

/// Adds every path of the service.
pub(super) fn configure(config: &mut ServiceConfig, base_path: &BasePath) {
    let base = base_path.as_str();
    let at = |path: &str| format!("{base}{path}");
    let mut paths: BTreeMap<&str, Vec<&'static Operation>> = BTreeMap::new();
    for operation in operations() {
        paths.entry(operation.path()).or_default().push(operation);
    }
    for (path, operations) in paths {
        let routes = operations.iter().flat_map(|operation| operation.routes());
        config.service(resource(&at(path), routes).app_data(PathOperations(operations)));
    }
    if !base.is_empty() {
        config.service(get(base, to_swagger_ui));
    }
    config
        .service(get(&at("/openapi.yaml"), openapi_yaml))
        .service(get(&at("/openapi.json"), openapi_json))
        .service(get(&at(LIVE), health::live))
        .service(get(&at(READY), health::ready))
        .service(get(&at("/"), to_swagger_ui))
        .service(get(&at("/swagger-ui"), to_swagger_ui))
        .service(get(&at("/swagger-ui/{file}*"), swagger_ui::file))
        .default_service(web::to(not_found));
}

/// A path with its methods. Another method is refused with the list of them (RFC 9110, 15.5.6).
fn resource(path: &str, routes: impl IntoIterator<Item = (Method, Route)>) -> Resource {
    let (mut resource, mut methods) = (web::resource(path), Vec::new());
    for (method, route) in routes {
        methods.push(method.to_string());
        // The method guard of actix allocates for each request.
        resource = resource.route(route.guard(fn_guard(move |context| context.head().method == method)));
    }
    let allow = methods.join(", ");
    resource.default_service(web::to(move || {
        let refusal = ApiError::MethodNotAllowed { allow: allow.clone() };
        async move { Err::<HttpResponse, _>(refusal) }
    }))
}

/// Something to read that is not an operation of the contract.
fn get<H, Args>(path: &str, handler: H) -> Resource
where
    H: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    resource(path, [(Method::GET, web::to(handler.clone())), (Method::HEAD, web::to(handler))])
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

async fn openapi_yaml() -> HttpResponse {
    // RFC 9512
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/yaml")).body(contract::YAML)
}

async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(contract::JSON.as_str())
}
