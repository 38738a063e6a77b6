//! Which path leads where.

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::header::{CONTENT_TYPE, LOCATION},
    web::{self, ServiceConfig},
};

use super::health;
use crate::{
    api::{
        base_path::BasePath,
        customers::{
            delete_customer::delete_customer, get_customer::get_customer, list_customers::list_customers,
            put_customer::put_customer,
        },
        error::ApiError,
        operation::Operation,
        swagger_ui,
    },
    contract,
};

/// Adds every path of the service.
pub(super) fn configure(config: &mut ServiceConfig, base_path: &BasePath) {
    let base = base_path.as_str();
    let at = |path: &str| format!("{base}{path}");
    if !base.is_empty() {
        config.service(document(base).route(web::get().to(to_swagger_ui)));
    }
    config
        .service(
            resource(&at(Operation::PutCustomer.path()), "GET, PUT, DELETE")
                .route(web::put().to(put_customer))
                .route(web::get().to(get_customer))
                .route(web::delete().to(delete_customer)),
        )
        .service(resource(&at(Operation::ListCustomers.path()), "GET").route(web::get().to(list_customers)))
        .service(document(&at("/openapi.yaml")).route(web::get().to(openapi_yaml)))
        .service(document(&at("/openapi.json")).route(web::get().to(openapi_json)))
        .service(document(&at("/livez")).route(web::get().to(health::live)))
        .service(document(&at("/readyz")).route(web::get().to(health::ready)))
        .service(document(&at("/")).route(web::get().to(to_swagger_ui)))
        .service(document(&at("/swagger-ui")).route(web::get().to(to_swagger_ui)))
        .service(document(&at("/swagger-ui/{file}*")).route(web::get().to(swagger_ui::file)))
        .default_service(web::to(not_found));
}

/// A path, and the methods that it has, for those who use another (RFC 9110, 15.5.6).
fn resource(path: &str, allow: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed(allow)) };
    web::resource(path).default_service(web::to(refuse))
}

/// Something to read, besides the contract's paths.
fn document(path: &str) -> Resource {
    resource(path, "GET")
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::RouteNotFound)
}

/// Relative, so that it also leads there behind a proxy that adds a prefix.
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
