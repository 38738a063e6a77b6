//! Swagger UI beside the API, as far as it can be seen without a browser.

use customers_api::contract;
use serde_json::json;

use crate::support::{Engine, TestApi};

#[actix_web::test]
async fn the_root_leads_to_the_page_with_and_without_a_base_path() {
    let api = TestApi::start(Engine::Sqlite).await;
    for (path, location) in [("/", "swagger-ui/"), ("/swagger-ui", "swagger-ui/")] {
        let answer = api.request("GET", path).unsigned().send().await.expect(307);
        assert_eq!(answer.header("location"), location, "{path}");
    }
    let api = TestApi::with(Engine::Sqlite, false, "/api").await;
    for (path, location) in [("", "api/swagger-ui/"), ("/", "swagger-ui/"), ("/swagger-ui", "swagger-ui/")] {
        let answer = api.request("GET", path).unsigned().send().await.expect(307);
        assert_eq!(answer.header("location"), location, "{path}");
    }
}

#[actix_web::test]
async fn the_page_and_its_files_are_served_under_a_strict_policy() {
    let api = TestApi::start(Engine::Sqlite).await;
    for (file, media_type) in [
        ("", "text/html; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("initializer.js", "text/javascript; charset=utf-8"),
        ("signing.js", "text/javascript; charset=utf-8"),
        ("signing.css", "text/css; charset=utf-8"),
        ("swagger-ui.css", "text/css"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("config.json", "application/json"),
    ] {
        let answer = api.request("GET", &format!("/swagger-ui/{file}")).unsigned().send().await.expect(200);
        assert_eq!(answer.header("content-type"), media_type, "{file}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{file}");
        let policy = answer.header("content-security-policy");
        for directive in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{file}: {policy}");
        }
    }
    api.request("GET", "/swagger-ui/nothing.js").unsigned().send().await.expect(404);
    let answer = api.request("POST", "/swagger-ui/").unsigned().send().await.expect(405);
    assert_eq!(answer.header("allow"), "GET");
}

#[actix_web::test]
async fn the_page_knows_what_it_must_know_to_sign() {
    let api = TestApi::with(Engine::Sqlite, true, "/api").await;
    let config = api.request("GET", "/swagger-ui/config.json").unsigned().send().await.expect(200).json();
    assert_eq!(config, json!({ "Audience": "customers-api", "BasePath": "/api", "Sandbox": true }));
}

#[actix_web::test]
async fn the_contract_is_served_byte_for_byte_and_as_json() {
    let api = TestApi::start(Engine::Sqlite).await;
    let yaml = api.request("GET", "/openapi.yaml").unsigned().send().await.expect(200);
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert_eq!(yaml.body, contract::YAML.as_bytes());
    let json = api.request("GET", "/openapi.json").unsigned().send().await.expect(200);
    assert_eq!(&json.json(), contract::document());
}
