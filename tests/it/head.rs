//! HEAD wherever GET is: the same status and headers, and no content.

use actix_web::http::header::HttpDate;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::support::{Answer, Engine, TestApi, eventually, full, on_each_engine};

/// The headers that do not depend on the single answer.
fn lasting(headers: &HeaderMap) -> Vec<(String, String)> {
    let each =
        |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    let mut headers: Vec<_> = headers.iter().map(each).collect();
    headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    headers.sort();
    headers
}

#[track_caller]
fn is_head_of(head: &Answer, get: &Answer, what: &str) {
    assert_eq!(head.status, get.status, "{what}");
    assert_eq!(lasting(&head.headers), lasting(&get.headers), "{what}");
    assert!(head.body.is_empty(), "{what}");
    if !get.body.is_empty() {
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{what}");
    }
}

async fn head_is_get_without_content(engine: Engine) {
    let api = TestApi::start(engine).await;
    let etag = api.put("c-1", &full()).send().await.expect(201).header("etag").to_owned();
    // `Last-Modified` is never later than `Date`, so it stays the same only from the next second on.
    eventually("Last-Modified is before Date", || async {
        let get = api.get("c-1").send().await;
        get.header("last-modified").parse::<HttpDate>().unwrap() < get.header("date").parse().unwrap()
    })
    .await;
    for (target, status) in [
        ("/customers/c-1", 200),
        ("/customers/c-2", 404),
        ("/customers/%00", 400),
        ("/customers/c-1?dryRun=true", 400),
        ("/customers", 200),
        ("/customers?PageSize=1&SortDirection=ASC", 200),
        ("/customers?PageSize=0", 400),
        ("/events?From=Newest", 200),
        ("/events?Wait=11", 400),
        ("/customers/c-1/events", 200),
        ("/customers/c-2/events?PageSize=1", 200),
        ("/nothing", 404),
    ] {
        let get = api.request("GET", target).send().await.expect(status);
        is_head_of(&api.request("HEAD", target).send().await, &get, target);
    }
    for (name, value, status) in [
        ("if-none-match", etag.as_str(), 304),
        ("if-none-match", "\"a\"", 200),
        ("if-modified-since", "Fri, 31 Dec 9999 23:59:59 GMT", 304),
        ("if-match", etag.as_str(), 400),
        ("api-signature", "a second one", 401),
    ] {
        let get = api.get("c-1").header(name, value).send().await.expect(status);
        is_head_of(&api.head("c-1").header(name, value).send().await, &get, name);
    }
    let get = api.get("c-1").unsigned().send().await.expect(401);
    is_head_of(&api.head("c-1").unsigned().send().await, &get, "unsigned");
}

async fn what_is_not_an_operation_has_head_too(engine: Engine) {
    let api = TestApi::with(engine, false, "/api").await;
    for (target, status) in [
        ("/livez", 204),
        ("/readyz", 204),
        ("/openapi.yaml", 200),
        ("/openapi.json", 200),
        ("/openapi-3.0.json", 200),
        ("", 307),
        ("/", 307),
        ("/swagger-ui", 307),
        ("/swagger-ui/", 200),
        ("/swagger-ui/swagger-ui.css", 200),
        ("/swagger-ui/config.json", 200),
        ("/swagger-ui/nothing.js", 404),
    ] {
        let get = api.request("GET", target).unsigned().send().await.expect(status);
        is_head_of(&api.request("HEAD", target).unsigned().send().await, &get, target);
    }
}

async fn the_method_of_the_signature_is_head(engine: Engine) {
    let api = TestApi::start(engine).await;
    let token = |method| crate::support::token_for(&api.signer, method, "/customers/c-1", b"");
    api.head("c-1").token(token("HEAD")).send().await.expect(404);
    api.head("c-1").token(token("GET")).send().await.expect(401);
    api.get("c-1").token(token("HEAD")).send().await.expect(401);
}

on_each_engine! {
    head_is_get_without_content,
    what_is_not_an_operation_has_head_too,
    the_method_of_the_signature_is_head,
}
