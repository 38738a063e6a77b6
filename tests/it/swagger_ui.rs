//! Swagger UI beside the API, as far as it can be seen without a browser.

use std::io::Read as _;

use customers_api::contract;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

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
        ("accessible.js", "text/javascript; charset=utf-8"),
        ("accessible.css", "text/css; charset=utf-8"),
        ("signing.js", "text/javascript; charset=utf-8"),
        ("signing.css", "text/css; charset=utf-8"),
        ("swagger-ui.css", "text/css"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("config.json", "application/json"),
        ("signing.md", "text/plain; charset=utf-8"),
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
    assert_eq!(answer.header("allow"), "GET, HEAD");
}

#[actix_web::test]
async fn a_file_is_sent_in_a_coding_that_the_client_asks_for() {
    let api = TestApi::start(Engine::Sqlite).await;
    let ask = async |file: &str, accepted: Option<&str>| {
        let request = api.request("GET", &format!("/swagger-ui/{file}")).unsigned();
        let request =
            accepted.into_iter().fold(request, |request, coding| request.header("accept-encoding", coding));
        request.send().await.expect(200)
    };
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"] {
        let plain = ask(file, None).await;
        assert!(!plain.headers.contains_key("content-encoding"), "{file}");
        assert_eq!(plain.header("vary"), "Accept-Encoding", "{file}");
        for accepted in [
            "gzip",
            "GZIP",
            "br, gzip;q=0.5",
            "gzip;q=0.001",
            "gzip, identity",
            "identity;q=0.5, gzip",
            "gzip, *;q=0",
        ] {
            let answer = ask(file, Some(accepted)).await;
            assert_eq!(answer.header("content-encoding"), "gzip", "{accepted}");
            assert_eq!(answer.header("vary"), "Accept-Encoding", "{accepted}");
            let mut decoded = Vec::new();
            GzDecoder::new(answer.body.as_slice()).read_to_end(&mut decoded).unwrap();
            assert!(decoded == plain.body, "{file} {accepted}: the same file");
        }
        for accepted in [
            "",
            "identity",
            "gzip;q=0",
            "gzip;q=0, identity",
            "identity, gzip;q=0.5",
            "br",
            "*;q=0",
            "deflate, gzip;q=0.0",
        ] {
            let answer = ask(file, Some(accepted)).await;
            assert!(!answer.headers.contains_key("content-encoding"), "{accepted}");
            assert_eq!(answer.header("vary"), "Accept-Encoding", "{accepted}");
            assert!(answer.body == plain.body, "{file} {accepted}: the same file");
        }
    }
}

#[actix_web::test]
async fn the_page_knows_what_it_must_know_to_sign() {
    let api = TestApi::with(Engine::Sqlite, true, "/api").await;
    let config = api.request("GET", "/swagger-ui/config.json").unsigned().send().await.expect(200).json();
    let version = env!("CARGO_PKG_VERSION");
    let expected =
        json!({ "Audience": "customers-api", "BasePath": "/api", "Sandbox": true, "Version": version });
    assert_eq!(config, expected);
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

#[actix_web::test]
async fn the_contract_is_served_in_openapi_3_0_too() {
    let api = TestApi::start(Engine::Sqlite).await;
    let [json, older] =
        ["/openapi.json", "/openapi-3.0.json"].map(|path| api.request("GET", path).unsigned());
    let (json, older) = (json.send().await.expect(200), older.send().await.expect(200));
    assert_eq!(&older.json(), contract::document_3_0());
    for header in ["content-type", "cache-control"] {
        assert_eq!(older.header(header), json.header(header), "{header}");
    }
}

#[actix_web::test]
async fn the_contract_names_the_path_below_which_it_is_served() {
    let api = TestApi::with(Engine::Sqlite, true, "/api/v1").await;
    let file = async |name: &str| api.request("GET", name).unsigned().send().await.expect(200);
    let yaml: Value = yaml_serde::from_slice(&file("/openapi.yaml").await.body).unwrap();
    for (document, written) in [
        (yaml, contract::document()),
        (file("/openapi.json").await.json(), contract::document()),
        (file("/openapi-3.0.json").await.json(), contract::document_3_0()),
    ] {
        let mut expected = written.clone();
        assert_eq!(expected["servers"][0]["url"], "/", "generated clients refuse a relative path");
        expected["servers"][0]["url"] = json!("/api/v1");
        assert_eq!(document, expected);
    }
}
