//! What an operation does not document is refused, and nothing is done.

use serde_json::json;

use crate::support::{Engine, Request, TestApi, mia, on_each_engine};

/// A request of each operation, with more behind its path.
fn requests<'a>(api: &'a TestApi, more: &str) -> [(&'static str, Request<'a>); 6] {
    let one = format!("/customers/c-1{more}");
    let all = format!("/customers{more}");
    [
        ("putCustomer", api.request("PUT", &one).json(&mia())),
        ("getCustomer", api.request("GET", &one)),
        ("headCustomer", api.request("HEAD", &one)),
        ("deleteCustomer", api.request("DELETE", &one)),
        ("listCustomers", api.request("GET", &all)),
        ("headCustomers", api.request("HEAD", &all)),
    ]
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
        for (operation, request) in requests(&api, query) {
            let refused = request.send().await.expect(400);
            if !refused.body.is_empty() {
                let expected: Vec<_> =
                    fields.iter().map(|field| format!("{field}: is not a known parameter")).collect();
                assert_eq!(refused.violations("Query"), expected, "{operation} {query}");
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

async fn a_precondition_that_would_be_ignored_is_refused_and_named(engine: Engine) {
    const MATCH: &str = "is not a precondition of this operation: send If-Match instead";
    const NOTHING: &str = "is not a precondition of this operation: leave it out";
    const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
    let api = TestApi::start(engine).await;
    let tag = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();
    for (operation, request) in requests(&api, "") {
        let (unknown, description): (&[_], _) = match operation {
            "putCustomer" => (&["If-Unmodified-Since"], MATCH),
            "deleteCustomer" => (&["If-None-Match", "If-Unmodified-Since"], MATCH),
            "getCustomer" | "headCustomer" => (&["If-Match", "If-Unmodified-Since"], NOTHING),
            _ => (&["If-Match", "If-None-Match", "If-Unmodified-Since"], NOTHING),
        };
        let value = |name| if name == "If-Unmodified-Since" { PAST } else { tag.as_str() };
        let request = unknown.iter().fold(request, |request, name| request.header(name, value(*name)));
        let refused = request.send().await.expect(400);
        if !refused.body.is_empty() {
            let expected: Vec<_> = unknown.iter().map(|name| format!("{name}: {description}")).collect();
            assert_eq!(refused.violations("Header"), expected, "{operation}");
        }
    }
    assert_eq!(api.get("c-1").send().await.expect(200).header("etag"), tag, "nothing was changed");
    for (operation, request) in
        requests(&api, "").into_iter().filter(|(operation, _)| *operation != "getCustomer")
    {
        // RFC 9110, 13.1.3: it has no meaning there, and must be ignored.
        let ignored = request.header("if-modified-since", PAST).send().await;
        assert!(ignored.status.is_success(), "{operation}: {}", ignored.status);
        api.put("c-1", &mia()).send().await;
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
    api.put("c-1", &mia()).send().await.expect(201);
    for body in [mia().to_string(), json!({}).to_string(), " ".to_owned()] {
        for (operation, request) in requests(&api, "").into_iter().skip(1) {
            let refused = request.bytes(body.clone()).send().await.expect(400);
            if !refused.body.is_empty() {
                let expected = ": must be absent: this operation has no body";
                assert_eq!(refused.violations("Body"), [expected], "{operation}");
            }
        }
    }
    api.get("c-1").header("content-type", "text/plain").send().await.expect(200);
    api.delete("c-1").bytes("").send().await.expect(204);
}

async fn a_part_of_a_customer_is_not_taken_for_the_whole(engine: Engine) {
    let api = TestApi::start(engine).await;
    for range in ["bytes 0-3/10", "bytes */10", "x"] {
        let refused = api.put("c-1", &mia()).header("content-range", range).send().await.expect(400);
        let expected = "Content-Range: is not supported: send the whole body, without it";
        assert_eq!(refused.violations("Header"), [expected]);
    }
    api.get("c-1").header("content-range", "bytes 0-3/10").send().await.expect(404);
}

on_each_engine! {
    an_undocumented_query_parameter_is_refused_and_named,
    a_precondition_that_would_be_ignored_is_refused_and_named,
    all_that_is_undocumented_is_listed_at_once,
    a_body_is_refused_where_none_is_documented,
    a_part_of_a_customer_is_not_taken_for_the_whole,
}
