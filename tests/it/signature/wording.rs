//! A refusal says what the server saw and what to do, and repeats nothing of the request.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};

use super::{claims, hash, header, now, refused, token};
use crate::support::{Engine, TestApi, mia, on_each_engine, token_for};

async fn all_wrong_claims_are_named_at_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let nothing = token(&api.signer, &header(&api.signer), &json!({}));
    let answer = api.put("c-1", &mia()).token(nothing).send().await.expect(401);
    let fields: Vec<_> =
        answer.violations("Header").iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(
        fields,
        ["aud", "iat", "exp", "method", "path", "bodyHash"].map(|claim| format!("Api-Signature.{claim}"))
    );
}

async fn a_refusal_says_what_the_server_saw_and_what_to_do(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let bytes =
        format!("bodyHash is not the SHA-256 of this body: the server saw a body of {} bytes; ", body.len());
    let path = "the server saw /customers/{CustomerID}; ";
    for (claim, value, description) in [
        ("aud", json!("x"), "aud is wrong: send \"customers-api\", the audience of this server".to_owned()),
        ("method", json!("put"), "method is wrong: the server saw PUT; ".to_owned()),
        ("iat", json!((now() + 600) * 1000), "send seconds, not milliseconds".to_owned()),
        ("iat", json!("now"), "iat is not a number: send the Unix time in seconds".to_owned()),
        ("exp", json!(now() + 3600), "exp is 60 minutes after iat: more than 900 seconds".to_owned()),
        (
            "exp",
            json!(now() - 200_000),
            "exp is more than 2 days in the past, by the server's clock".to_owned(),
        ),
        ("nbf", json!(now() + 615), "nbf is 10 minutes ahead of the server's clock".to_owned()),
        (
            "path",
            json!("/v1/customers/c-1"),
            format!("path has a prefix that the server did not see: {path}"),
        ),
        ("path", json!("/c-1"), format!("path lacks a prefix that the server saw: {path}")),
        (
            "path",
            json!("/customers/c%2d1"),
            format!("path is percent-encoded in another way than it was sent: {path}"),
        ),
        ("path", json!("http://x/customers/c-1"), format!("path holds a scheme and a host: {path}")),
        ("path", json!("/customers/c-1?a=1"), format!("path holds the query: {path}")),
        ("path", json!("/customers/c-2"), format!("path is wrong: {path}sign the path of this request")),
        ("path", json!(1), format!("path is wrong: {path}")),
        (
            "queryParams",
            json!({ "a": "1" }),
            "queryParams is wrong: the server saw no query; leave it out".to_owned(),
        ),
        ("bodyHash", json!(hash(b"{}")), bytes),
        (
            "bodyHash",
            json!(BASE64URL.encode(hash(body.as_bytes()))),
            "bodyHash is not 64 hexadecimal digits".to_owned(),
        ),
    ] {
        let mut claims = claims(body.as_bytes());
        claims[claim] = value;
        let token = token(&api.signer, &header(&api.signer), &claims);
        refused(&api, claim, token, &description).await;
    }
    let mut slow = claims(body.as_bytes());
    (slow["iat"], slow["exp"]) = (json!(now() - 605), json!(now() - 305));
    let description = "exp is 5 minutes in the past, by the server's clock: sign the request again; if you signed it just \
                       now, your clock is 10 minutes slow: compare your clock with Date of this response";
    refused(&api, "slow", token(&api.signer, &header(&api.signer), &slow), description).await;
    let mut fast = claims(body.as_bytes());
    (fast["iat"], fast["exp"]) = (json!(now() + 605), json!(now() + 905));
    let description = "iat is 10 minutes ahead of the server's clock, at most 60 seconds are allowed; if that was the time \
                       when you signed, your clock is fast: compare your clock with Date of this response";
    let fast = token(&api.signer, &header(&api.signer), &fast);
    let answer = api.put("c-1", &mia()).token(fast).send().await.expect(401);
    assert_eq!(answer.detail(), description);
    assert!(!answer.header("date").is_empty());
}

async fn a_refusal_says_how_the_query_differs(engine: Engine) {
    let api = TestApi::start(engine).await;
    let list = async |params: Option<Value>| {
        let mut claims = claims(b"");
        let members = claims.as_object_mut().unwrap();
        members.remove("bodyHash");
        members.extend([("method".to_owned(), json!("GET")), ("path".to_owned(), json!("/customers"))]);
        members.extend(params.map(|params| ("queryParams".to_owned(), params)));
        let token = token(&api.signer, &header(&api.signer), &claims);
        api.list("?PageSize=5&Other=1&Other=2").token(token).send().await.expect(401).detail()
    };
    let saw = "the server saw a query with 2 names";
    for (params, description) in [
        (None, format!("queryParams is missing: {saw}; send an object")),
        (Some(json!([])), format!("queryParams is not an object: {saw}; ")),
        (
            Some(json!({ "Other": ["1", "3"], "third": "", "fourth": "" })),
            format!(
                "queryParams is wrong: {saw}; of these it lacks 1, 1 have another value, and 2 more are in it"
            ),
        ),
    ] {
        let detail = list(params).await;
        assert!(detail.starts_with(&description), "{detail}");
    }
}

async fn a_refusal_tells_a_prefix_from_the_base_path(engine: Engine) {
    let api = TestApi::with(engine, false, "/api/v1").await;
    let body = mia().to_string();
    let saw = "the server saw /api/v1/customers/{CustomerID}; ";
    for (path, description) in [
        ("/customers/c-1", format!("path lacks the base path: {saw}sign it with /api/v1")),
        ("/v1/customers/c-1", format!("path lacks a prefix that the server saw: {saw}")),
        ("/out/api/v1/customers/c-1", format!("path has a prefix that the server did not see: {saw}")),
    ] {
        refused(&api, path, token_for(&api.signer, "PUT", path, body.as_bytes()), &description).await;
    }
}

/// Not even if the request, its claims and its header are full of them.
async fn a_refusal_repeats_nothing_and_is_short(engine: Engine) {
    const SECRET: &str = "Wanderlust";
    let api = TestApi::start(engine).await;
    let long = SECRET.repeat(100);
    let values =
        [json!(long), json!([long]), json!({ SECRET: long }), json!(1e300), json!(-1e300), json!([[[]]])];
    for value in values {
        let mut claims = claims(b"");
        for claim in ["aud", "iat", "exp", "nbf", "method", "path", "queryParams", "bodyHash", "jti"] {
            claims[claim] = value.clone();
        }
        let header = header(&api.signer);
        let target = format!("/customers/{SECRET}?{SECRET}={SECRET}");
        let mut answers = vec![token(&api.signer, &header, &claims)];
        for parameter in ["alg", "kid", "typ", "crit"] {
            let mut header = header.clone();
            header[parameter] = value.clone();
            answers.push(token(&api.signer, &header, &claims));
        }
        for token in answers {
            let request = api.request("PUT", &target).token(token).bytes(SECRET).send().await.expect(401);
            let mut body = request.json();
            // It is random.
            body.as_object_mut().unwrap().remove("Instance");
            let text = body.to_string();
            assert!(!text.contains(SECRET) && !text.contains("300"), "{text}");
            assert!(text.len() < 5_000, "{} bytes: {text}", text.len());
            for violation in request.violations("Header") {
                assert!(violation.len() < 400, "{violation}");
            }
        }
    }
}

async fn a_signature_in_der_is_told_from_one_that_is_wrong(engine: Engine) {
    let api = TestApi::start(engine).await;
    let good = token_for(&api.signer, "PUT", "/customers/c-1", mia().to_string().as_bytes());
    let (message, _) = good.rsplit_once('.').unwrap();
    for (length, description) in [(96, "sign exactly the header and the claims"), (103, "must be 96 bytes")] {
        let token = format!("{message}.{}", BASE64URL.encode(vec![1; length]));
        refused(&api, "DER", token, description).await;
    }
}

on_each_engine! {
    all_wrong_claims_are_named_at_once,
    a_refusal_says_what_the_server_saw_and_what_to_do,
    a_refusal_says_how_the_query_differs,
    a_refusal_tells_a_prefix_from_the_base_path,
    a_refusal_repeats_nothing_and_is_short,
    a_signature_in_der_is_told_from_one_that_is_wrong,
}
