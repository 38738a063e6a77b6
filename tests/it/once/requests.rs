//! Over HTTP.

use std::iter;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use customers_api::{clock, signature::Algorithm};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{
    Answer, Engine, Signer, TestApi, eventually, full, mia, on_each_engine, signed, token_for,
};

/// The signature of a request for `c-1`.
fn token(api: &TestApi, method: &str, body: &[u8]) -> String {
    token_for(&api.signer, method, "/customers/c-1", body)
}

fn put_token(api: &TestApi) -> String {
    token(api, "PUT", mia().to_string().as_bytes())
}

/// What a caller can compare: the status and the headers that say what became of the customer.
fn told(answer: &Answer) -> (u16, Option<String>, Option<String>) {
    let header = |name| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    (answer.status.as_u16(), header("etag"), header("location"))
}

async fn a_put_that_is_replayed_after_a_newer_one_changes_nothing(engine: Engine) {
    let api = TestApi::start(engine).await;
    let captured = put_token(&api);
    let first = api.put("c-1", &mia()).token(&captured).send().await.expect(201);
    let newer = api.put("c-1", &full()).send().await.expect(204);

    let replayed = api.put("c-1", &mia()).token(&captured).send().await.expect(201);

    assert_eq!(told(&replayed), told(&first));
    let read = api.get("c-1").send().await.expect(200);
    assert_eq!(read.header("etag"), newer.header("etag"));
    assert_eq!(read.json()["FullName"], full()["FullName"]);
}

async fn an_update_that_is_replayed_is_told_as_the_same_update(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-1", &full()).send().await.expect(201);
    let captured = put_token(&api);
    let first = api.put("c-1", &mia()).token(&captured).send().await.expect(204);
    api.delete("c-1").send().await.expect(204);

    let replayed = api.put("c-1", &mia()).token(&captured).send().await.expect(204);

    assert_eq!(told(&replayed), told(&first));
    api.get("c-1").send().await.expect(404);
}

async fn a_put_that_is_replayed_after_a_delete_brings_nobody_back(engine: Engine) {
    let api = TestApi::start(engine).await;
    let (captured, delete) = (put_token(&api), token(&api, "DELETE", b""));
    let first = api.put("c-1", &mia()).token(&captured).send().await.expect(201);
    api.delete("c-1").token(&delete).send().await.expect(204);

    let replayed = api.put("c-1", &mia()).token(&captured).send().await.expect(201);

    assert_eq!(told(&replayed), told(&first));
    api.get("c-1").send().await.expect(404);

    api.put("c-1", &full()).send().await.expect(201);
    api.delete("c-1").token(&delete).send().await.expect(204);
    api.get("c-1").send().await.expect(200);
}

async fn a_412_and_a_404_are_repeated_although_the_request_would_succeed_now(engine: Engine) {
    let api = TestApi::start(engine).await;
    let tokens: Vec<_> = iter::repeat_with(|| put_token(&api)).take(3).collect();
    let deletes: Vec<_> = iter::repeat_with(|| token(&api, "DELETE", b"")).take(3).collect();
    let strange = "\"00000000000040008000000000000000\"";
    let ask = async || {
        let put = |token: &str| api.put("c-1", &mia()).token(token);
        put(&tokens[0]).header("if-match", "*").send().await.expect(412);
        put(&tokens[1]).header("if-match", strange).send().await.expect(412);
        put(&tokens[2]).header("if-match", "*").header("if-none-match", "*").send().await.expect(412);
        api.delete("c-1").token(&deletes[0]).send().await.expect(404);
        api.delete("c-1").token(&deletes[1]).header("if-match", "*").send().await.expect(404);
        api.delete("c-1").token(&deletes[2]).header("if-match", strange).send().await.expect(404);
    };
    ask().await;
    let created = api.put("c-1", &full()).send().await.expect(201).header("etag").to_owned();
    ask().await;

    // The headers are not signed, so a repeat may have others.
    for token in &tokens {
        api.put("c-1", &mia()).token(token).send().await.expect(412);
        api.put("c-1", &mia()).token(token).header("if-match", &created).send().await.expect(412);
    }
    for token in &deletes {
        api.delete("c-1").token(token).header("if-match", &created).send().await.expect(404);
    }
    let (absent, stale) = (put_token(&api), token(&api, "DELETE", b""));
    let failed = async || {
        api.put("c-1", &mia()).token(&absent).header("if-none-match", "*").send().await.expect(412);
        api.delete("c-1").token(&stale).header("if-match", strange).send().await.expect(412);
    };
    failed().await;
    assert_eq!(api.get("c-1").send().await.expect(200).header("etag"), created);
    api.delete("c-1").send().await.expect(204);
    failed().await;
    api.get("c-1").send().await.expect(404);
}

async fn a_conditional_write_that_was_made_is_told_again(engine: Engine) {
    let api = TestApi::start(engine).await;
    let (create, replace, delete) = (put_token(&api), put_token(&api), token(&api, "DELETE", b""));
    let put =
        |token: &str, header: &str, value: &str| api.put("c-1", &mia()).token(token).header(header, value);
    let created = put(&create, "if-none-match", "*").send().await.expect(201);
    let first = created.header("etag").to_owned();
    let replaced = put(&replace, "if-match", &first).send().await.expect(204);
    let second = replaced.header("etag").to_owned();
    api.delete("c-1").token(&delete).header("if-match", &second).send().await.expect(204);

    assert_eq!(told(&put(&create, "if-none-match", "*").send().await), told(&created));
    assert_eq!(told(&put(&replace, "if-match", &first).send().await), told(&replaced));
    api.delete("c-1").token(&delete).header("if-match", &second).send().await.expect(204);
    assert_eq!(api.customers_stored().await, 0);
}

/// The order of the group of P-384 and of P-256 (FIPS 186-4, D.1.2).
const ORDERS: [(Algorithm, &str); 2] = [
    (
        Algorithm::Es384,
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    (Algorithm::Es256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
];

/// The other signature of the same text: (r, n-s) for (r, s).
fn twin(token: &str, algorithm: Algorithm) -> String {
    let (_, order) = ORDERS.iter().find(|(of, _)| *of == algorithm).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (order, mut signature) = (hex::decode(order).unwrap(), BASE64URL.decode(signature).unwrap());
    let (_, s) = signature.split_at_mut(order.len());
    let mut borrow = 0;
    for (digit, order) in s.iter_mut().zip(&order).rev() {
        let difference = i32::from(*order) - i32::from(*digit) - borrow;
        (*digit, borrow) = (u8::try_from(difference.rem_euclid(256)).unwrap(), i32::from(difference < 0));
    }
    format!("{message}.{}", BASE64URL.encode(signature))
}

async fn the_other_signature_of_the_same_text_is_a_repeat(engine: Engine) {
    let api = TestApi::start(engine).await;
    let p256 = api.register("acme", Algorithm::Es256, "acme-256").await;
    for (signer, algorithm) in [(&api.signer, Algorithm::Es384), (&p256, Algorithm::Es256)] {
        let captured = token_for(signer, "PUT", "/customers/c-1", mia().to_string().as_bytes());
        let twin = twin(&captured, algorithm);
        assert_ne!(captured, twin);
        let first = api.put("c-1", &mia()).token(captured).send().await.expect(201);
        api.delete("c-1").send().await.expect(204);

        let replayed = api.put("c-1", &mia()).token(twin).send().await.expect(201);

        assert_eq!(told(&replayed), told(&first), "{algorithm}");
        api.get("c-1").send().await.expect(404);
    }
}

async fn a_used_signature_is_refused_for_anything_else(engine: Engine) {
    let api = TestApi::start(engine).await;
    let captured = put_token(&api);
    let created = api.put("c-1", &mia()).token(&captured).send().await.expect(201);

    api.put("c-2", &mia()).token(&captured).send().await.expect(401);
    api.put("c-1", &full()).token(&captured).send().await.expect(401);
    api.delete("c-1").token(&captured).send().await.expect(401);
    api.put("c-1?a=1", &mia()).token(&captured).send_unchecked().await.expect(401);

    assert_eq!(api.get("c-1").send().await.expect(200).header("etag"), created.header("etag"));
    assert_eq!(api.customers_stored().await, 1);
}

async fn a_repeat_after_the_key_is_revoked_or_the_time_is_over_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let second = api.register("acme", Algorithm::Es256, "acme-2").await;
    let captured = token_for(&second, "PUT", "/customers/c-1", mia().to_string().as_bytes());
    let first = api.put("c-1", &mia()).token(&captured).send().await.expect(201);
    assert!(api.store.revoke_signing_key("acme-2", clock::now().into()).await.unwrap());
    eventually("the repeat is refused", || async {
        let answer = api.put("c-1", &mia()).token(&captured).send().await;
        assert!(answer.status == 401 || told(&answer) == told(&first));
        answer.status == 401
    })
    .await;

    let short = customers_api::signature::sign(
        &api.signer.key,
        Some(&api.signer.key_id),
        &customers_api::signature::Facts {
            audience: "customers-api",
            now: clock::now().timestamp(),
            method: "PUT",
            path: "/customers/c-1",
            base_path: "",
            template: "",
            query: "",
            body: mia().to_string().as_bytes(),
        },
        2,
    )
    .unwrap();
    let first = api.put("c-1", &mia()).token(&short).send().await.expect(204);
    eventually("the repeat has expired", || async {
        let answer = api.put("c-1", &mia()).token(&short).send().await;
        assert!(answer.status == 401 || told(&answer) == told(&first));
        answer.status == 401
    })
    .await;
}

async fn copies_that_come_together_have_one_effect(engine: Engine) {
    const COPIES: usize = 32;
    let one = TestApi::start(engine).await;
    let two = one.replica().await;
    for round in 0..3 {
        let captured = put_token(&one);
        let condition = ["if-none-match", "accept", "if-match"][round];
        let copies = (0..COPIES).map(async |number| {
            let api = if number % 2 == 0 { &one } else { &two };
            api.put("c-1", &mia()).header(condition, "*").token(&captured).send().await
        });
        let answers = join_all(copies).await;

        assert_eq!(answers[0].status, if round == 0 { 201 } else { 204 });
        for answer in &answers {
            assert_eq!(told(answer), told(&answers[0]), "round {round}");
        }
        let read = two.get("c-1").send().await.expect(200);
        assert_eq!(read.header("etag"), answers[0].header("etag"));
    }
    let captured = token(&one, "DELETE", b"");
    let copies = (0..COPIES).map(async |number| {
        let api = if number % 2 == 0 { &one } else { &two };
        api.delete("c-1").token(&captured).send().await.status.as_u16()
    });
    assert_eq!(join_all(copies).await, [204; COPIES]);
    assert_eq!(one.database.used_signatures().await, 4, "one entry for each request");
}

async fn another_replica_repeats_the_first_answer(engine: Engine) {
    let one = TestApi::start(engine).await;
    let captured = put_token(&one);
    let first = one.put("c-1", &mia()).token(&captured).send().await.expect(201);
    one.delete("c-1").send().await.expect(204);

    let two = one.replica().await;
    let replayed = two.put("c-1", &mia()).token(&captured).send().await.expect(201);

    assert_eq!(told(&replayed), told(&first));
    two.get("c-1").send().await.expect(404);
}

async fn a_400_415_500_or_503_uses_nothing_up(engine: Engine) {
    let api = TestApi::start(engine).await;
    let captured = put_token(&api);
    let put = || api.put("c-1", &mia()).token(&captured);
    put().header("if-match", "wrong").send().await.expect(400);
    let unlabelled = api.request("PUT", "/customers/c-1").bytes(mia().to_string()).token(&captured);
    unlabelled.header("content-type", "text/plain").send().await.expect(415);
    let lock = api.database.lock().await;
    put().send().await.expect(503);
    lock.release().await;
    let (refuse, accept) = match engine {
        Engine::Sqlite => (
            "CREATE TRIGGER nobody BEFORE INSERT ON customers BEGIN SELECT RAISE(ABORT, 'refused'); END",
            "DROP TRIGGER nobody",
        ),
        Engine::Postgres => (
            "ALTER TABLE customers ADD CONSTRAINT nobody CHECK (account = '')",
            "ALTER TABLE customers DROP CONSTRAINT nobody",
        ),
    };
    api.database.execute(refuse).await;
    put().send().await.expect(500);
    api.database.execute(accept).await;
    assert_eq!(api.database.used_signatures().await, 0);

    let first = put().send().await.expect(201);
    put().header("if-match", "wrong").send().await.expect(400);
    assert_eq!(told(&put().send().await), told(&first));
}

async fn reads_use_nothing_up_and_unsigned_writes_are_not_limited(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    for expected in [201, 204, 204] {
        api.put("c-1", &mia()).unsigned().send().await.expect(expected);
    }
    let read = token(&api, "GET", b"");
    for _ in 0..2 {
        api.get("c-1").unsigned().send().await.expect(200);
        api.get("c-1").token(&read).send().await.expect(404);
    }
    for expected in [204, 404] {
        api.delete("c-1").unsigned().send().await.expect(expected);
    }
    assert_eq!(api.database.used_signatures().await, 0);
}

/// A signer whose claims are always the same within a second.
async fn requests_with_equal_claims_are_one_and_a_jti_tells_them_apart(engine: Engine) {
    let api = TestApi::start(engine).await;
    let Signer { key, key_id, .. } = &api.signer;
    let now = clock::now().timestamp();
    let sign = |jti: Option<&str>| {
        let mut claims = json!({
            "aud": "customers-api", "iat": now, "exp": now + 300, "method": "DELETE", "path": "/customers/c-1"
        });
        if let Some(jti) = jti {
            claims["jti"] = json!(jti);
        }
        signed(key, &json!({ "alg": "ES384", "kid": key_id }), &claims)
    };
    assert_ne!(sign(None), sign(None), "an ECDSA signature is different each time");
    api.delete("c-1").token(sign(None)).send().await.expect(404);
    api.put("c-1", &mia()).send().await.expect(201);
    api.delete("c-1").token(sign(None)).send().await.expect(404);
    api.delete("c-1").token(sign(Some("a"))).send().await.expect(204);
    api.delete("c-1").token(sign(Some("b"))).send().await.expect(404);
    assert_ne!(put_token(&api).split('.').nth(1), put_token(&api).split('.').nth(1), "our signers add one");
}

on_each_engine! {
    a_put_that_is_replayed_after_a_newer_one_changes_nothing,
    an_update_that_is_replayed_is_told_as_the_same_update,
    a_put_that_is_replayed_after_a_delete_brings_nobody_back,
    a_412_and_a_404_are_repeated_although_the_request_would_succeed_now,
    a_conditional_write_that_was_made_is_told_again,
    the_other_signature_of_the_same_text_is_a_repeat,
    a_used_signature_is_refused_for_anything_else,
    a_repeat_after_the_key_is_revoked_or_the_time_is_over_is_refused,
    copies_that_come_together_have_one_effect,
    another_replica_repeats_the_first_answer,
    a_400_415_500_or_503_uses_nothing_up,
    reads_use_nothing_up_and_unsigned_writes_are_not_limited,
    requests_with_equal_claims_are_one_and_a_jti_tells_them_apart,
}
