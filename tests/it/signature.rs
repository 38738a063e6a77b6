//! Nobody gets in without a valid signature: each rule of `Api-Signature`, broken alone.

mod wording;

use std::time::{Duration, Instant};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use customers_api::{clock, random, signature::Algorithm};
use serde_json::{Value, json};

use crate::support::{Engine, Signer, TestApi, eventually, mia, on_each_engine, signed, token_for};

fn now() -> i64 {
    clock::now().timestamp()
}

fn hash(body: &[u8]) -> String {
    hex::encode(digest(&SHA256, body))
}

/// The claims of `PUT /customers/c-1` with this body.
fn claims(body: &[u8]) -> Value {
    json!({
        "aud": "customers-api", "iat": now(), "exp": now() + 300, "jti": random::uuid(), "method": "PUT",
        "path": "/customers/c-1", "bodyHash": hash(body)
    })
}

fn token(signer: &Signer, header: &Value, claims: &Value) -> String {
    signed(&signer.key, header, claims)
}

fn header(signer: &Signer) -> Value {
    json!({ "alg": signer.key.algorithm().name(), "typ": "JWT", "kid": signer.key_id })
}

async fn refused(api: &TestApi, reason: &str, token: String, detail: &str) {
    let answer = api.put("c-1", &mia()).token(token).send().await;
    assert_eq!(answer.status, 401, "{reason}");
    assert!(answer.detail().contains(detail), "{reason}: {}", answer.detail());
    assert_eq!(api.customers_stored().await, 0, "a refused request leaves nothing behind: {reason}");
}

async fn a_request_without_a_signature_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let answer = api.put("c-1", &mia()).unsigned().send().await.expect(401);
    assert_eq!(
        answer.detail(),
        "Api-Signature is missing: sign the request, for example with `customers-api sign`"
    );
    assert_eq!(answer.header("www-authenticate"), "Api-Signature");
}

async fn each_claim_missing_or_wrong_is_refused_and_named(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let good = claims(body.as_bytes());
    for (claim, wrong) in [
        (
            "aud",
            vec![
                Value::Null,
                json!("another"),
                json!(1),
                json!([]),
                json!(["another"]),
                json!("customers-api "),
            ],
        ),
        ("iat", vec![Value::Null, json!("now"), json!(now() + 120), json!(true)]),
        (
            "exp",
            vec![
                Value::Null,
                json!("later"),
                json!(now()),
                json!(now() - 1),
                json!(now() + 100_000),
                json!([]),
            ],
        ),
        ("nbf", vec![json!("now"), json!(now() + 120), Value::Null]),
        ("method", vec![Value::Null, json!("POST"), json!("put"), json!(["PUT"])]),
        (
            "path",
            vec![
                Value::Null,
                json!("/customers/c-2"),
                json!("/customers/c-1/"),
                json!("/customers/c%2D1"),
                json!(""),
            ],
        ),
        ("queryParams", vec![json!({ "a": "1" }), json!([]), json!("")]),
        (
            "bodyHash",
            vec![Value::Null, json!(""), json!(hash(b"")), json!(hash(b"{}")), json!(1), json!("zz")],
        ),
    ] {
        for value in wrong {
            let mut claims = good.clone();
            claims[claim] = value.clone();
            refused(
                &api,
                &format!("{claim} = {value}"),
                token(&api.signer, &header(&api.signer), &claims),
                claim,
            )
            .await;
        }
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        if !matches!(claim, "queryParams" | "nbf") {
            refused(&api, &format!("no {claim}"), token(&api.signer, &header(&api.signer), &claims), claim)
                .await;
        }
    }
}

async fn a_token_may_live_900_seconds_and_no_longer(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let life = |seconds: i64| {
        let mut claims = claims(body.as_bytes());
        claims["iat"] = json!(now() - 10);
        claims["exp"] = json!(now() - 10 + seconds);
        token(&api.signer, &header(&api.signer), &claims)
    };
    refused(&api, "901 seconds", life(901), "more than 900 seconds after iat are not allowed").await;
    api.put("c-1", &mia()).token(life(900)).send().await.expect(201);
}

async fn a_clock_may_be_a_minute_ahead(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let mut claims = claims(body.as_bytes());
    claims["iat"] = json!(now() + 55);
    api.put("c-1", &mia()).token(token(&api.signer, &header(&api.signer), &claims)).send().await.expect(201);
}

async fn no_other_algorithm_is_known(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let part = |value: &Value| BASE64URL.encode(value.to_string());
    let unsigned = |alg: &str| {
        format!("{}.{}.", part(&json!({ "alg": alg, "kid": "acme-1" })), part(&claims(body.as_bytes())))
    };
    for alg in ["none", "None", "NONE", "", "ES384"] {
        let answer = api.put("c-1", &mia()).token(unsigned(alg)).send().await.expect(401);
        assert!(
            answer.detail().contains(if alg == "ES384" { "does not verify" } else { "alg must be" }),
            "{alg}"
        );
    }
    // The public key as the secret of a MAC: RFC 8725, 2.1.
    let public_pem = api.signer.key.public_key().unwrap().to_pem().to_owned();
    for (alg, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384)] {
        let message =
            format!("{}.{}", part(&json!({ "alg": alg, "kid": "acme-1" })), part(&claims(body.as_bytes())));
        let tag = hmac::sign(&hmac::Key::new(algorithm, public_pem.as_bytes()), message.as_bytes());
        refused(&api, alg, format!("{message}.{}", BASE64URL.encode(tag)), "alg must be ES384 or ES256")
            .await;
    }
    for alg in ["RS256", "PS384", "ES512", "ES256K", "EdDSA", "es384"] {
        let forged = token(&api.signer, &json!({ "alg": alg, "kid": "acme-1" }), &claims(body.as_bytes()));
        refused(&api, alg, forged, "alg must be ES384 or ES256").await;
    }
}

async fn a_key_serves_its_own_algorithm_alone(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let p256 = api.register("acme", Algorithm::Es256, "acme-256").await;
    let confused = token(&p256, &json!({ "alg": "ES256", "kid": "acme-1" }), &claims(body.as_bytes()));
    refused(&api, "ES256 with a key on P-384", confused, "alg must be ES384").await;
    api.put("c-1", &mia()).signed_by(&p256).send().await.expect(201);
}

async fn a_key_in_the_header_is_not_believed(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let stranger = TestApi::start(engine).await;
    let jwk = json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" });
    for extra in [
        json!({ "jwk": jwk }),
        json!({ "jku": "http://127.0.0.1:9/keys" }),
        json!({ "x5u": "http://127.0.0.1:9/" }),
    ] {
        let mut header = header(&api.signer);
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        refused(
            &api,
            "a foreign key",
            token(&stranger.signer, &header, &claims(body.as_bytes())),
            "does not verify",
        )
        .await;
    }
}

async fn extensions_and_other_types_are_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    for (header, detail) in [
        (json!({ "alg": "ES384", "kid": "acme-1", "crit": ["b64"], "b64": false }), "crit"),
        (json!({ "alg": "ES384", "kid": "acme-1", "crit": [] }), "crit"),
        (json!({ "alg": "ES384", "kid": "acme-1", "typ": "JWE" }), "typ"),
        (json!({ "alg": "ES384", "kid": "acme-1", "typ": "application/jwe" }), "typ"),
        (json!({ "alg": "ES384", "kid": "acme-1", "typ": "application/at+jwt" }), "typ"),
        (json!({ "alg": "ES384", "kid": "acme-1", "typ": "application/" }), "typ"),
        (json!({ "alg": "ES384", "kid": "acme-1", "typ": "text/jwt" }), "typ"),
        (json!({ "alg": "ES384", "kid": 1 }), "base64url"),
        // serde by itself would take these for a header with less in it, and for one without names.
        (json!({ "alg": "ES384", "kid": "acme-1", "crit": null }), "crit"),
        (json!({ "alg": "ES384", "kid": "acme-1", "typ": null }), "base64url"),
        (json!({ "alg": "ES384", "kid": null }), "base64url"),
        (json!(["ES384", "acme-1", "JWT", null]), "base64url"),
    ] {
        refused(&api, detail, token(&api.signer, &header, &claims(body.as_bytes())), detail).await;
    }
    for typ in ["JWT", "jwt", "Jwt", "application/jwt", "application/JWT", "Application/Jwt"] {
        let header = json!({ "alg": "ES384", "kid": "acme-1", "typ": typ });
        let answer =
            api.put("c-1", &mia()).token(token(&api.signer, &header, &claims(body.as_bytes()))).send().await;
        assert!(answer.status.is_success(), "{typ}: {}", answer.status);
    }
}

async fn what_is_no_token_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let good = token_for(&api.signer, "PUT", "/customers/c-1", mia().to_string().as_bytes());
    let parts: Vec<_> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    for (reason, token) in [
        ("nothing", String::new()),
        ("a word", "abc".to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{good}.{signature}")),
        ("no signature", format!("{header}.{claims}.")),
        ("half a signature", format!("{header}.{claims}.{}", &signature[..64])),
        ("a signature of zeros", format!("{header}.{claims}.{}", BASE64URL.encode([0; 96]))),
        ("padding", format!("{good}=")),
        ("white space", format!("{header}. {claims}.{signature}")),
        ("other claims", format!("{header}.{}.{signature}", BASE64URL.encode("{}"))),
        ("too long", format!("{header}.{}.{signature}", "A".repeat(9000))),
        ("a scheme", format!("Bearer {good}")),
        (
            "JSON serialization",
            json!({ "payload": claims, "protected": header, "signature": signature }).to_string(),
        ),
    ] {
        refused(&api, reason, token, "Api-Signature").await;
    }
}

async fn claims_that_nest_deeper_than_127_levels_are_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let nested = |levels: usize| {
        let mut claims = claims(mia().to_string().as_bytes());
        // The object of all claims is the first level.
        claims["more"] = (2..levels).fold(json!([]), |inner, _| json!([inner]));
        token(&api.signer, &header(&api.signer), &claims)
    };
    refused(&api, "a level too many", nested(128), "nest deeper than 127 levels").await;
    api.put("c-1", &mia()).token(nested(127)).send().await.expect(201);
}

async fn a_signature_is_sent_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let good = token_for(&api.signer, "PUT", "/customers/c-1", mia().to_string().as_bytes());
    let answer = api.put("c-1", &mia()).header("api-signature", &good).token(good).send().await.expect(401);
    assert_eq!(answer.detail(), "Api-Signature is given more than once: send it once");
}

async fn a_signature_for_another_request_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    for (method, target, signed_body, claim) in [
        ("DELETE", "/customers/c-1", body.as_bytes(), "method"),
        ("PUT", "/customers/c-2", body.as_bytes(), "path"),
        ("PUT", "/customers/c-1?a=1", body.as_bytes(), "queryParams"),
        ("PUT", "/customers/c-1", b"{}".as_slice(), "bodyHash"),
    ] {
        refused(&api, claim, token_for(&api.signer, method, target, signed_body), claim).await;
    }
}

async fn the_query_is_signed_by_name_and_decoded_value(engine: Engine) {
    let api = TestApi::start(engine).await;
    let list = |params: Value| {
        let claims = json!({
            "aud": ["x", "customers-api"], "iat": now(), "exp": now() + 60, "method": "GET", "path": "/customers",
            "queryParams": params
        });
        token(&api.signer, &header(&api.signer), &claims)
    };
    let query = "?PageSize=5&SortDirection=%41SC";
    for params in
        [json!({ "PageSize": 5, "SortDirection": "ASC" }), json!({ "SortDirection": "ASC", "PageSize": "5" })]
    {
        api.list(query).token(list(params)).send().await.expect(200);
    }
    for params in [
        Value::Null,
        json!({}),
        json!({ "PageSize": 5 }),
        json!({ "PageSize": 6, "SortDirection": "ASC" }),
        json!({ "PageSize": 5, "SortDirection": "%41SC" }),
        json!({ "PageSize": 5, "SortDirection": "ASC", "x": "" }),
        json!([["PageSize", "5"], ["SortDirection", "ASC"]]),
    ] {
        let answer = api.list(query).token(list(params.clone())).send().await.expect(401);
        assert!(answer.detail().contains("queryParams"), "{params}");
    }
    api.list("").token(list(json!({}))).send().await.expect(200);
    api.list("?").token(list(json!({}))).send().await.expect(200);
}

async fn the_base_path_belongs_to_the_signed_path(engine: Engine) {
    let api = TestApi::with(engine, false, "/api/v1").await;
    let body = mia().to_string();
    let wrong = token_for(&api.signer, "PUT", "/customers/c-1", body.as_bytes());
    api.put("c-1", &mia()).token(wrong).send().await.expect(401);
    let created = api.put("c-1", &mia()).send().await.expect(201);
    assert_eq!(created.header("location"), "./c-1");
}

async fn without_a_key_id_the_only_active_key_serves(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = mia().to_string();
    let anonymous = || token(&api.signer, &json!({ "alg": "ES384" }), &claims(body.as_bytes()));
    api.put("c-1", &mia()).token(anonymous()).send().await.expect(201);

    let second = api.register("acme", Algorithm::Es384, "acme-2").await;
    api.put("c-1", &mia()).signed_by(&second).send().await.expect(204);
    let answer = api.put("c-1", &mia()).token(anonymous()).send().await.expect(401);
    assert_eq!(answer.detail(), "several keys are active: send kid in the JOSE header");

    assert!(api.store.revoke_signing_key("acme-2", clock::now().into()).await.unwrap());
    eventually("the first key is the only active one again", || async {
        api.put("c-1", &mia()).token(anonymous()).send().await.status == 204
    })
    .await;
}

async fn an_unknown_key_is_refused_and_a_new_one_serves_at_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let unknown = json!({ "alg": "ES384", "kid": "acme-9" });
    refused(
        &api,
        "unknown",
        token(&api.signer, &unknown, &claims(mia().to_string().as_bytes())),
        "kid is not the id of a registered key",
    )
    .await;
    let new = api.register("acme", Algorithm::Es384, "acme-9").await;
    api.put("c-1", &mia()).signed_by(&new).send().await.expect(201);
}

async fn a_revoked_key_is_refused_within_five_seconds_while_another_serves(engine: Engine) {
    let api = TestApi::start(engine).await;
    let second = api.register("acme", Algorithm::Es256, "acme-2").await;
    api.put("c-1", &mia()).signed_by(&second).send().await.expect(201);

    let revoked = Instant::now();
    assert!(api.store.revoke_signing_key("acme-2", clock::now().into()).await.unwrap());
    eventually("the revoked key is refused", || async {
        let answer = api.put("c-1", &mia()).signed_by(&second).send().await;
        answer.status == 401 && answer.detail() == "the key is revoked: sign with an active key"
    })
    .await;
    assert!(revoked.elapsed() < Duration::from_secs(5));
    api.put("c-1", &mia()).send().await.expect(204);
}

async fn accounts_do_not_see_each_other(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", Algorithm::Es384, "other-1").await;
    let mine = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();

    api.get("c-1").signed_by(&other).send().await.expect(404);
    api.delete("c-1").signed_by(&other).send().await.expect(404);
    api.delete("c-1").signed_by(&other).header("if-match", &mine).send().await.expect(404);
    api.put("c-1", &mia()).signed_by(&other).header("if-match", "*").send().await.expect(412);
    assert_eq!(api.list("").signed_by(&other).send().await.expect(200).json()["Items"], json!([]));

    api.put("c-1", &mia()).signed_by(&other).send().await.expect(201);
    assert_eq!(
        api.get("c-1").send().await.expect(200).header("etag"),
        mine,
        "the first account's is untouched"
    );
    api.delete("c-1").signed_by(&other).send().await.expect(204);
    api.get("c-1").send().await.expect(200);
}

async fn the_sandbox_takes_unsigned_requests_and_still_verifies_signed_ones(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    api.put("c-1", &mia()).unsigned().send().await.expect(201);
    api.put("c-1", &mia()).token("abc").send().await.expect(401);
    api.get("c-1").send().await.expect(404);
    api.put("c-1", &mia()).send().await.expect(201);
}

on_each_engine! {
    a_request_without_a_signature_is_refused,
    each_claim_missing_or_wrong_is_refused_and_named,
    a_token_may_live_900_seconds_and_no_longer,
    a_clock_may_be_a_minute_ahead,
    no_other_algorithm_is_known,
    a_key_serves_its_own_algorithm_alone,
    a_key_in_the_header_is_not_believed,
    extensions_and_other_types_are_refused,
    what_is_no_token_is_refused,
    claims_that_nest_deeper_than_127_levels_are_refused,
    a_signature_is_sent_once,
    a_signature_for_another_request_is_refused,
    the_query_is_signed_by_name_and_decoded_value,
    the_base_path_belongs_to_the_signed_path,
    without_a_key_id_the_only_active_key_serves,
    an_unknown_key_is_refused_and_a_new_one_serves_at_once,
    a_revoked_key_is_refused_within_five_seconds_while_another_serves,
    accounts_do_not_see_each_other,
    the_sandbox_takes_unsigned_requests_and_still_verifies_signed_ones,
}
