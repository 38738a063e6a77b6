//! The admin listener: what it serves, and when.

use std::fs;

use actix_web::rt;
use tokio::net::TcpStream;

use super::Place;
use crate::support::{Engine, Raw, Service, eventually, mia};

#[actix_web::test]
async fn it_serves_metrics_and_probes_and_nothing_else() {
    let place = Place::start(Engine::Sqlite, &["--sandbox", "--base-path", "/api"]).await;
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/livez", 204),
        ("HEAD", "/livez", 204),
        ("GET", "/readyz", 204),
        ("POST", "/metrics", 405),
        ("DELETE", "/livez", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/metrics/a", 404),
        ("GET", "/api/metrics", 404),
        ("GET", "/customers", 404),
        ("GET", "/api/customers", 404),
        ("GET", "/openapi.yaml", 404),
        ("GET", "/swagger-ui/", 404),
    ] {
        assert_eq!(place.admin_status(method, path).await, status, "{method} {path}");
    }
    for path in ["/metrics", "/api/metrics"] {
        assert_eq!(place.send("GET", path, &[], "").await, 404, "not on the public listener: {path}");
    }
    let log = fs::read_to_string(place.folder.path().join("log")).unwrap();
    assert!(log.contains(&format!("admin_address={}", place.admin())), "{log}");
}

#[test]
fn without_the_option_it_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("customers.db").display());
    let service = Service::start(&url, &folder.path().join("log"), &[]);
    assert_eq!(service.admin, None);
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("listening") && !log.contains("admin_address"), "{log}");
}

#[test]
fn an_address_that_is_in_use_is_a_failure_before_the_service_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = occupied.local_addr().unwrap().to_string();
    let output = crate::support::command()
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", &occupied])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()), "{said}");
    assert!(said.contains(&format!("error: cannot listen on {occupied}: ")), "{said}");
}

#[actix_web::test]
async fn it_answers_when_the_public_listener_takes_no_more_connections() {
    let place = Place::start(Engine::Sqlite, &["--workers", "1", "--max-connections", "1"]).await;
    let mut held = Raw::connect(&place.service.address).await;
    held.send("GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(held.answer().await.status, 204);
    let mut waiting = Raw::connect(&place.service.address).await;
    waiting.send("GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").await;

    for path in ["/livez", "/readyz"] {
        assert_eq!(place.admin_status("GET", path).await, 204, "{path}");
    }
    assert_eq!(place.scrape().await.count("http_server_active_requests"), 0, "nobody accepted the other");
    held.reset();
    assert_eq!(waiting.answer().await.status, 204);
}

#[actix_web::test]
async fn it_stays_until_the_last_request_is_answered() {
    let place = Place::start(Engine::Sqlite, &["--sandbox", "--stop-seconds", "60"]).await;
    let body = mia().to_string();
    let mut held = Raw::connect(&place.service.address).await;
    held.send(&format!(
        "PUT /customers/c-1 HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ))
    .await;
    eventually("the request is there", || async {
        place.scrape().await.count("http_server_active_requests") == 1
    })
    .await;

    place.service.signal("-TERM");
    eventually("new connections are refused", || async {
        TcpStream::connect(&place.service.address).await.is_err()
    })
    .await;
    assert_eq!(place.admin_status("GET", "/livez").await, 204);
    assert_eq!(place.admin_status("GET", "/readyz").await, 503);
    let scrape = place.scrape().await;
    assert_eq!(scrape.count("customers_ready"), 0);
    assert_eq!(scrape.count("http_server_active_requests"), 1);

    held.send(&body).await;
    assert_eq!(held.answer().await.status, 201);
    let admin = place.admin().to_owned();
    let Place { service, folder, .. } = place;
    let status = rt::task::spawn_blocking(move || service.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", fs::read_to_string(folder.path().join("log")).unwrap());
    assert!(TcpStream::connect(&admin).await.is_err());
}

#[actix_web::test]
async fn it_says_what_is_not_ready() {
    let place = Place::start(Engine::Sqlite, &[]).await;
    assert_eq!(place.scrape().await.count("customers_ready"), 1);
    let file = place.database.url.strip_prefix("sqlite:").unwrap();
    fs::rename(file, format!("{file}.aside")).unwrap();
    eventually("it is not ready", || async { place.scrape().await.count("customers_ready") == 0 }).await;
    assert_eq!(place.admin_status("GET", "/readyz").await, 503);
    eventually("the keys get old", || async {
        place.scrape().await.value("customers_registry_age_seconds") > 2.0
    })
    .await;
}
