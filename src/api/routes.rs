//! Which path leads where.

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::header::{CONTENT_TYPE, LOCATION},
    web::{self, ServiceConfig},
};

use super::{
    BasePath, delete_customer::delete_customer, error::ApiError, get_customer::get_customer, health,
    list_customers::list_customers, put_customer::put_customer, swagger_ui,
};
use crate::contract;

/// Adds every path of the service.
pub(super) fn configure(config: &mut ServiceConfig, base_path: &BasePath) {
    let base = base_path.as_str();
    if !base.is_empty() {
        config.service(document(base).route(web::get().to(to_swagger_ui)));
    }
    config.service(
        web::scope(base)
            .service(put_customer)
            .service(get_customer)
            .service(delete_customer)
            .service(others("/customers/{CustomerID}", "GET, PUT, DELETE"))
            .service(list_customers)
            .service(others("/customers", "GET"))
            .service(document("/openapi.yaml").route(web::get().to(openapi_yaml)))
            .service(document("/openapi.json").route(web::get().to(openapi_json)))
            .service(document("/livez").route(web::get().to(health::live)))
            .service(document("/readyz").route(web::get().to(health::ready)))
            .service(document("/").route(web::get().to(to_swagger_ui)))
            .service(document("/swagger-ui").route(web::get().to(to_swagger_ui)))
            .service(document("/swagger-ui/{file}*").route(web::get().to(swagger_ui::file))),
    );
    config.default_service(web::to(not_found));
}

/// The methods that a path of the contract does not have (RFC 9110, 15.5.6).
fn others(path: &str, allow: &'static str) -> Resource {
    web::resource(path).to(move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed(allow)) })
}

/// Something to read, besides the contract's paths.
fn document(path: &str) -> Resource {
    let refuse = || async { Err::<HttpResponse, _>(ApiError::MethodNotAllowed("GET")) };
    web::resource(path).default_service(web::to(refuse))
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
