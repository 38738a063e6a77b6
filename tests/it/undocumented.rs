//! What an operation does not document is refused, and nothing is done.

use serde_json::json;

use crate::support::{Engine, TestApi, mia, on_each_engine, operations};

/// Puts everything that can be put, under the ids of the contract's examples.
async fn put_all(api: &TestApi) {
    for put in operations().filter(|operation| operation.method == "put") {
        assert!(put.request(api, "").send().await.status.is_success(), "{}", put.id());
    }
}

async fn an_undocumented_query_parameter_is_refused_and_named(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-0", &mia()).send().await.expect(201);
    for (query, fields) in [
        ("?dryRun=true", &["dryRun"][..]),
        ("?x", &["x"]),
        ("?x=1&x=2", &["x", "x"]),
        ("?a%20b=1&y=", &["?", "y"]),
        ("?If-Match=%22a%22", &["If-Match"]),
        ("?CustomerID=c-2", &["CustomerID"]),
        ("?pagesize=1", &["pagesize"]),
        ("?Api-Signature=abc", &["Api-Signature"]),
    ] {
        for operation in operations() {
            let refused = operation.request(&api, query).send().await.expect(400);
            if !refused.body.is_empty() {
                let expected: Vec<_> =
                    fields.iter().map(|field| format!("{field}: is not a known parameter")).collect();
                assert_eq!(refused.violations("Query"), expected, "{} {query}", operation.id());
            }
        }
    }
    let refused = api.request("DELETE", "/customers/c-0?PageSize=1").send().await.expect(400);
    assert_eq!(refused.violations("Query"), ["PageSize: is not a known parameter"]);
    assert_eq!(api.customers_stored().await, 1, "a refused request changes nothing");
    for query in ["?", "?&", "?&&"] {
        api.request("GET", &format!("/customers/c-0{query}")).send().await.expect(200);
    }
}

async fn of_more_undocumented_parameters_than_are_listed_the_first_are(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    for (count, detail) in [
        (1000, "1000 fields are invalid"),
        (1001, "more than 1000 fields are invalid; the first 1000 are listed"),
        (2000, "more than 1000 fields are invalid; the first 1000 are listed"),
    ] {
        let refused = api.list(&format!("?{}", "x&".repeat(count))).unsigned().send().await.expect(400);
        assert_eq!(refused.detail(), detail);
        assert_eq!(refused.violations("Query"), vec!["x: is not a known parameter"; 1000]);
    }
}

async fn a_precondition_that_would_be_ignored_is_refused_and_named(engine: Engine) {
    const MATCH: &str = "is not a precondition of this operation: send If-Match instead";
    const NOTHING: &str = "is not a precondition of this operation: leave it out";
    const ID: &str = "c-1001";
    const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
    let api = TestApi::start(engine).await;
    put_all(&api).await;
    let version = || async { api.get(ID).send().await.expect(200).header("etag").to_owned() };
    let tag = version().await;
    for operation in operations() {
        let values = [("If-Match", tag.as_str()), ("If-None-Match", &tag), ("If-Unmodified-Since", PAST)];
        let unknown: Vec<_> = values.into_iter().filter(|(name, _)| !operation.has_header(name)).collect();
        assert!(!unknown.is_empty(), "{} has no If-Unmodified-Since", operation.id());
        let request = operation.request(&api, "");
        let request = unknown.iter().fold(request, |request, (name, value)| request.header(name, value));
        let refused = request.send().await.expect(400);
        if !refused.body.is_empty() {
            let description = if operation.has_header("If-Match") { MATCH } else { NOTHING };
            let expected: Vec<_> = unknown.iter().map(|(name, _)| format!("{name}: {description}")).collect();
            assert_eq!(refused.violations("Header"), expected, "{}", operation.id());
        }
    }
    assert_eq!(version().await, tag, "nothing was changed");
    for operation in operations() {
        put_all(&api).await;
        // RFC 9110, 13.1.3: where it has no meaning, it must be ignored.
        let answer = operation.request(&api, "").header("if-modified-since", PAST).send().await;
        assert!(answer.status.is_success(), "{}: {}", operation.id(), answer.status);
    }
}

async fn all_that_is_undocumented_is_listed_at_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let refused = api
        .request("DELETE", "/customers/%00?dryRun=true")
        .header("if-match", "no tag")
        .header("if-none-match", "*")
        .header("if-unmodified-since", "yesterday")
        .bytes("{}")
        .send()
        .await
        .expect(400);
    assert_eq!(refused.detail(), "6 fields are invalid");
    assert_eq!(refused.violations("Path"), ["CustomerID: must not contain U+0000"]);
    assert_eq!(refused.violations("Query"), ["dryRun: is not a known parameter"]);
    assert_eq!(refused.violations("Header").len(), 3);
    assert_eq!(refused.violations("Body"), [": must be absent: this operation has no body"]);
}

async fn a_body_is_refused_where_none_is_documented(engine: Engine) {
    let api = TestApi::start(engine).await;
    put_all(&api).await;
    for body in [mia().to_string(), json!({}).to_string(), " ".to_owned()] {
        for operation in operations().filter(|operation| !operation.has_body()) {
            let refused = operation.request(&api, "").bytes(body.clone()).send().await.expect(400);
            if !refused.body.is_empty() {
                let expected = ": must be absent: this operation has no body";
                assert_eq!(refused.violations("Body"), [expected], "{}", operation.id());
            }
        }
    }
    api.put("c-1", &mia()).send().await.expect(201);
    api.get("c-1").header("content-type", "text/plain").send().await.expect(200);
    api.delete("c-1").bytes("").send().await.expect(204);
}

async fn a_part_of_a_customer_is_not_taken_for_the_whole(engine: Engine) {
    let api = TestApi::start(engine).await;
    for range in ["bytes 0-3/10", "bytes */10", "x"] {
        for operation in operations().filter(|operation| operation.has_body()) {
            let request = operation.request(&api, "").header("content-range", range);
            let expected = "Content-Range: is not supported: send the whole body, without it";
            assert_eq!(
                request.send().await.expect(400).violations("Header"),
                [expected],
                "{}",
                operation.id()
            );
        }
    }
    api.get("c-1").header("content-range", "bytes 0-3/10").send().await.expect(404);
}

on_each_engine! {
    an_undocumented_query_parameter_is_refused_and_named,
    of_more_undocumented_parameters_than_are_listed_the_first_are,
    a_precondition_that_would_be_ignored_is_refused_and_named,
    all_that_is_undocumented_is_listed_at_once,
    a_body_is_refused_where_none_is_documented,
    a_part_of_a_customer_is_not_taken_for_the_whole,
}
