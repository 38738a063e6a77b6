//! Keys that may less: they only read, or they expire. And which day each key was used last.

use std::{collections::BTreeMap, process::Stdio};

use actix_web::rt::task::spawn_blocking;
use chrono::TimeDelta;
use customers_api::{
    clock,
    model::Timestamp,
    registry::{Registry, RegistryError},
    scope::Scope,
    signature::{Algorithm, Facts, RefusalKind, Verified, sign},
    store::SigningKey,
};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{
    Answer, Client, Database, Engine, Service, Signer, TestApi, command, eventually, full, mia,
    on_each_engine, register, register_limited, token_for,
};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// So many seconds from now.
fn after(seconds: i64) -> Timestamp {
    (clock::now() + TimeDelta::seconds(seconds)).into()
}

/// A second that is long gone.
fn past() -> Timestamp {
    after(-1000)
}

/// Asks the registry at this time, in Unix seconds; `signer` signs a moment before, with its id or without one.
async fn ask(
    registry: &Registry,
    signer: &Signer,
    key_id: Option<&str>,
    now: i64,
) -> Result<Verified, RefusalKind> {
    let facts = Facts {
        audience: "customers-api",
        now,
        method: "GET",
        path: "/customers",
        base_path: "",
        template: "",
        query: "",
        body: b"",
    };
    let token = sign(&signer.key, key_id, &facts, 300).unwrap();
    registry.verify(&token, &facts).await.map_err(|error| match error {
        RegistryError::Refused(refusal) => refusal.kind(),
        RegistryError::Unavailable => panic!("the keys are fresh"),
    })
}

/// The body of an error, without what belongs to this one alone.
fn body(answer: &Answer) -> Value {
    let mut body = answer.json();
    assert!(body.as_object_mut().unwrap().remove("Instance").is_some());
    body
}

/// What a command on the database prints.
async fn prints(database: &Database, arguments: &[&str]) -> String {
    let mut command = command();
    command.args(arguments).args(["--database-url", &database.url]).stdin(Stdio::null());
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `keys list` says of a key: scope, creation, end, last use and revocation.
async fn listed(database: &Database, key_id: &str) -> [String; 5] {
    let list = prints(database, &["keys", "list"]).await;
    let line = list.lines().find(|line| line.split(' ').next() == Some(key_id)).unwrap();
    let columns: Vec<String> = line.split_whitespace().skip(3).map(str::to_owned).collect();
    columns.try_into().unwrap()
}

async fn a_read_key_may_get_and_head_and_nothing_else(engine: Engine) {
    let api = TestApi::start(engine).await;
    let reader = api.register_limited("reader", Scope::Read, None).await;
    let tag = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();

    let read = api.get("c-1").signed_by(&reader).send().await.expect(200);
    assert_eq!(read.header("etag"), tag);
    api.get("c-1").signed_by(&reader).header("if-none-match", "*").send().await.expect(304);
    api.get("c-2").signed_by(&reader).send().await.expect(404);
    api.head("c-1").signed_by(&reader).send().await.expect(200);
    api.list("?PageSize=1").signed_by(&reader).send().await.expect(200);
    api.request("HEAD", "/customers").signed_by(&reader).send().await.expect(200);

    let put = api.put("c-1", &full()).signed_by(&reader).send().await.expect(403);
    let detail = "the key may only read: sign with a key of the scope write";
    assert_eq!(body(&put), json!({ "Type": "Forbidden", "Action": "putCustomer", "Detail": detail }));
    assert!(!put.headers.contains_key("www-authenticate"), "another signature by this key changes nothing");
    let delete = api.delete("c-1").signed_by(&reader).send().await.expect(403);
    assert_eq!(body(&delete)["Action"], "deleteCustomer");
    api.request("POST", "/customers/c-1").signed_by(&reader).send().await.expect(405);
    assert_eq!(api.get("c-1").send().await.expect(200).header("etag"), tag, "nothing was changed");
}

async fn a_403_tells_nothing_of_the_customer_and_uses_up_no_signature(engine: Engine) {
    let api = TestApi::start(engine).await;
    let reader = api.register_limited("reader", Scope::Read, None).await;
    let put = token_for(&reader, "PUT", "/customers/c-1", mia().to_string().as_bytes());
    let delete = token_for(&reader, "DELETE", "/customers/c-1", b"");
    let ask = async || {
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for (name, value) in [("x-none", "-"), ("if-match", "*"), ("if-match", "\"a\""), ("if-match", "a")] {
            puts.push(api.put("c-1", &mia()).token(&put).header(name, value).send().await.expect(403));
            deletes.push(api.delete("c-1").token(&delete).header(name, value).send().await.expect(403));
        }
        puts.push(api.put("c-1", &mia()).token(&put).header("if-none-match", "*").send().await.expect(403));
        (puts, deletes)
    };
    let (puts, deletes) = ask().await;
    assert_eq!(api.database.used_signatures().await, 0);
    api.put("c-1", &full()).send().await.expect(201);
    let used = api.database.used_signatures().await;
    let (later_puts, later_deletes) = ask().await;
    assert_eq!(api.database.used_signatures().await, used);
    for answers in [puts.into_iter().chain(later_puts), deletes.into_iter().chain(later_deletes)] {
        let answers: Vec<Answer> = answers.collect();
        let told = |answer: &Answer| {
            let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.clone()));
            let headers = headers.filter(|(name, _)| name != "x-request-id" && name != "date");
            (headers.collect::<BTreeMap<_, _>>(), body(answer))
        };
        assert!(answers.iter().all(|answer| told(answer) == told(&answers[0])));
    }
    assert_eq!(api.customers_stored().await, 1);
}

async fn a_key_is_refused_from_the_second_on_in_which_it_expires(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let now = clock::now().timestamp();
    // In the middle of a second.
    let end = Timestamp::from_micros((now + 100) * 1_000_000 + 500_000).unwrap();
    let signer = register_limited(&store, "k-1", Scope::Write, Some(end)).await;
    let reader = register_limited(&store, "k-2", Scope::Read, Some(end)).await;
    let registry = Registry::start(store).await.unwrap();
    for (signer, scope) in [(&signer, Scope::Write), (&reader, Scope::Read)] {
        let ask = async |now| ask(&registry, signer, Some(&signer.key_id), now).await;
        assert_eq!(ask(now).await.unwrap().scope, scope);
        assert!(ask(now + 99).await.is_ok());
        assert_eq!(ask(now + 100).await, Err(RefusalKind::ExpiredKey));
        assert_eq!(ask(now + 1_000_000).await, Err(RefusalKind::ExpiredKey));
        assert!(ask(now + 99).await.is_ok(), "the clock of the request counts");
    }
}

async fn a_key_that_expires_while_it_is_used_is_refused_and_that_is_said(engine: Engine) {
    let api = TestApi::start(engine).await;
    let signer = api.register_limited("short", Scope::Write, Some(after(2))).await;
    let ask = async || api.get("c-1").signed_by(&signer).send().await;
    eventually("it expires", || async {
        let answer = ask().await;
        if answer.status == 404 {
            return false;
        }
        assert_eq!(answer.expect(401).detail(), "the key has expired: sign with an active key");
        true
    })
    .await;
    let expired = ask().await.expect(401);
    assert_eq!(expired.violations("Header").len(), 1);
    assert_eq!(expired.header("www-authenticate"), "Api-Signature");
    api.put("c-1", &mia()).signed_by(&signer).send().await.expect(401);
    assert_eq!(api.customers_stored().await, 0);
    // Only who has the private key of an active key is told its id.
    let thumbprint = Signer { key_id: signer.key.thumbprint().unwrap(), ..signer };
    let unknown = api.get("c-1").signed_by(&thumbprint).send().await.expect(401);
    assert!(unknown.detail().starts_with("kid is not the id of a registered key"), "{}", unknown.detail());
}

async fn an_expired_key_does_not_count_for_tokens_without_a_key_id(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let now = clock::now().timestamp();
    let first = register(&store, "acme", Algorithm::Es384, "k-1").await;
    let at = |seconds: i64| Timestamp::from_micros((now + seconds) * 1_000_000);
    for (number, end) in [at(-50), at(100), at(200), at(-60)].into_iter().enumerate() {
        register_limited(&store, &format!("other-{number}"), Scope::Read, end).await;
    }
    let last = register_limited(&store, "last", Scope::Read, at(300)).await;
    let registry = Registry::start(store.clone()).await.unwrap();
    let ambiguous = Err(RefusalKind::AmbiguousKey);
    assert_eq!(ask(&registry, &first, None, now).await, ambiguous);
    assert_eq!(ask(&registry, &first, None, now + 250).await, ambiguous, "a read key counts");
    assert_eq!(ask(&registry, &first, None, now + 300).await.unwrap().key_id, "k-1");

    assert!(store.revoke_signing_key("k-1", after(0)).await.unwrap());
    let registry = Registry::start(store).await.unwrap();
    assert_eq!(ask(&registry, &last, None, now + 199).await, ambiguous);
    assert_eq!(ask(&registry, &last, None, now + 200).await.unwrap().scope, Scope::Read);
    assert_eq!(ask(&registry, &last, None, now + 300).await, Err(RefusalKind::UnknownKey), "none is active");
}

async fn of_two_ids_of_one_key_the_active_one_is_told(engine: Engine) {
    let api = TestApi::start(engine).await;
    let expired = SigningKey {
        key_id: "expired".to_owned(),
        account: api.signer.account.clone(),
        algorithm: "ES384".to_owned(),
        public_key: api.signer.key.public_key().unwrap().to_pem().to_owned(),
        created: past(),
        scope: Scope::Write,
        expires: Some(past()),
        revoked: None,
    };
    assert!(api.store.add_signing_key(expired).await.unwrap());
    let facts = Facts {
        audience: "customers-api",
        now: clock::now().timestamp(),
        method: "GET",
        path: "/customers/c-1",
        base_path: "",
        template: "",
        query: "",
        body: b"",
    };
    let thumbprint = api.signer.key.thumbprint().unwrap();
    let token = sign(&api.signer.key, Some(&thumbprint), &facts, 300).unwrap();
    let answer = api.get("c-1").token(token).send().await.expect(401);
    assert_eq!(answer.detail(), "this key is registered under another id: send acme-1 as kid");
}

async fn a_key_keeps_its_scope_its_end_and_its_id_for_ever(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    register_limited(&store, "reader", Scope::Read, None).await;
    register_limited(&store, "expired", Scope::Write, Some(past())).await;
    register_limited(&store, "writer", Scope::Write, None).await;
    let found = async || -> Vec<SigningKey> {
        store.signing_keys().await.unwrap().into_iter().map(Result::unwrap).collect()
    };
    let before = found().await;
    let facts: Vec<_> = before.iter().map(|key| (key.key_id.as_str(), key.scope, key.revoked)).collect();
    assert_eq!(
        facts,
        [("reader", Scope::Read, None), ("expired", Scope::Write, None), ("writer", Scope::Write, None)]
    );
    assert!(before[0].expires.is_none() && before[1].expires.is_some() && before[2].expires.is_none());

    let mut added = 0;
    for key in &before {
        for (scope, expires) in [(Scope::Read, None), (Scope::Write, None), (Scope::Read, Some(after(1000)))]
        {
            let other = SigningKey { scope, expires, ..key.clone() };
            added += usize::from(store.add_signing_key(other).await.unwrap());
        }
    }
    assert_eq!((added, found().await), (0, before.clone()), "nothing was changed");

    let revoked = after(0);
    for key in &before {
        assert!(store.revoke_signing_key(&key.key_id, revoked).await.unwrap(), "{}", key.key_id);
        assert!(!store.revoke_signing_key(&key.key_id, after(1)).await.unwrap(), "it is revoked already");
        assert!(!store.add_signing_key(SigningKey { revoked: None, ..key.clone() }).await.unwrap());
    }
    let after: Vec<_> =
        before.iter().map(|key| SigningKey { revoked: Some(revoked), ..key.clone() }).collect();
    assert_eq!(found().await, after);
}

async fn a_read_key_that_is_revoked_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let reader = api.register_limited("reader", Scope::Read, Some(after(1000))).await;
    api.get("c-1").signed_by(&reader).send().await.expect(404);
    prints(&api.database, &["keys", "revoke", "reader"]).await;
    eventually("it is refused", || async {
        let answer = api.get("c-1").signed_by(&reader).send().await;
        answer.status == 401 && answer.detail() == "the key is revoked: sign with an active key"
    })
    .await;
    api.put("c-1", &mia()).signed_by(&reader).send().await.expect(401);
}

async fn a_version_that_knows_no_limits_accepts_no_key_that_has_some(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    register_limited(&store, "reader", Scope::Read, None).await;
    register_limited(&store, "short", Scope::Write, Some(after(1000))).await;
    register_limited(&store, "writer", Scope::Write, None).await;
    // The query of such a version, and its rule.
    assert_eq!(database.count("signing_keys WHERE revoked_at IS NULL").await, 1);
    assert_eq!(database.count("signing_keys WHERE revoked_at IS NULL AND key_id = 'writer'").await, 1);
}

async fn a_scope_that_is_not_known_gives_nothing(engine: Engine) {
    let api = TestApi::start(engine).await;
    let reader = api.register_limited("reader", Scope::Read, None).await;
    api.database.execute("UPDATE key_limits SET scope = 'audit'").await;
    eventually("it is not a key any more", || async {
        let answer = api.get("c-1").signed_by(&reader).send().await;
        answer.status == 401 && answer.detail().starts_with("kid is not the id of a registered key")
    })
    .await;
    api.get("c-1").send().await.expect(404);
}

async fn the_last_day_of_use_is_kept_whoever_notes_it(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let limit = Some(after(10 * DAY_SECONDS));
    let signer = register_limited(&store, "k-1", Scope::Read, limit).await;
    let unused = register_limited(&store, "k-2", Scope::Write, Some(past())).await;
    let (one, two) =
        (Registry::start(store.clone()).await.unwrap(), Registry::start(store.clone()).await.unwrap());
    let now = clock::now().timestamp();
    let today = now.div_euclid(DAY_SECONDS);
    assert_eq!(ask(&one, &unused, Some("k-2"), now).await, Err(RefusalKind::ExpiredKey));
    assert_eq!(ask(&one, &unused, Some("k-1"), now).await, Err(RefusalKind::BadSignature));
    one.write_uses().await;
    assert!(store.key_uses().await.unwrap().is_empty(), "a signature that is refused is no use");

    for (registry, days, last) in [(&one, 0, 0), (&two, -1, 0), (&two, 2, 2), (&one, 1, 2)] {
        ask(registry, &signer, Some("k-1"), now + days * DAY_SECONDS).await.unwrap();
        registry.write_uses().await;
        eventually("it is written", || async {
            store.key_uses().await.unwrap().into_iter().eq([("k-1".to_owned(), today + last)])
        })
        .await;
    }
}

async fn a_use_that_cannot_be_written_holds_up_no_request_and_is_written_later(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.database.execute("ALTER TABLE key_uses RENAME TO gone").await;
    let registry = Registry::start(api.store.clone()).await.unwrap();
    let now = clock::now().timestamp();
    ask(&registry, &api.signer, Some("acme-1"), now).await.unwrap();
    registry.write_uses().await;
    api.put("c-1", &mia()).send().await.expect(201);
    api.get("c-1").send().await.expect(200);

    api.database.execute("ALTER TABLE gone RENAME TO key_uses").await;
    eventually("it is written", || async {
        registry.write_uses().await;
        api.database.count("key_uses").await == 1
    })
    .await;
}

async fn the_list_of_keys_says_which_of_them_nobody_uses(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let end: Timestamp = "2126-01-31T12:00:00+02:00".parse().unwrap();
    let first = register_limited(&store, "first", Scope::Write, None).await;
    let second = register_limited(&store, "second", Scope::Read, Some(end)).await;
    register_limited(&store, "third", Scope::Read, None).await;
    assert!(store.revoke_signing_key("third", end).await.unwrap());

    let folder = tempdir().unwrap();
    let service = Service::start(&database.url, &folder.path().join("log"), &[]);
    let client = Client::new();
    let get = async |signer: &Signer| {
        let token = token_for(signer, "GET", "/customers", b"");
        let request = client.get(format!("http://{}/customers", service.address));
        assert_eq!(request.header("Api-Signature", token).status().await, 200);
    };
    let day = || clock::now().format("%F").to_string();
    let before = day();
    get(&first).await;
    eventually("its use is written soon", || async { listed(&database, "first").await[3] != "-" }).await;
    get(&second).await;
    service.signal("-TERM");
    assert!(service.wait().success());

    // A day may end meanwhile.
    let days = [before, day()];
    let [scope, _, expires, last_use, revoked] = listed(&database, "first").await;
    assert_eq!([scope.as_str(), &expires, &revoked], ["write", "-", "-"]);
    assert!(days.contains(&last_use), "{last_use}");
    let [scope, _, expires, last_use, revoked] = listed(&database, "second").await;
    assert_eq!([scope.as_str(), &expires, &revoked], ["read", "2126-01-31T10:00:00.000000Z", "-"]);
    assert!(days.contains(&last_use), "what was not written yet is written at a stop: {last_use}");
    let [scope, _, expires, last_use, revoked] = listed(&database, "third").await;
    assert_eq!([scope.as_str(), &expires, &last_use], ["read", "-", "-"]);
    assert_eq!(revoked, "2126-01-31T10:00:00.000000Z");
}

on_each_engine! {
    a_read_key_may_get_and_head_and_nothing_else,
    a_403_tells_nothing_of_the_customer_and_uses_up_no_signature,
    a_key_is_refused_from_the_second_on_in_which_it_expires,
    a_key_that_expires_while_it_is_used_is_refused_and_that_is_said,
    an_expired_key_does_not_count_for_tokens_without_a_key_id,
    of_two_ids_of_one_key_the_active_one_is_told,
    a_key_keeps_its_scope_its_end_and_its_id_for_ever,
    a_read_key_that_is_revoked_is_refused,
    a_version_that_knows_no_limits_accepts_no_key_that_has_some,
    a_scope_that_is_not_known_gives_nothing,
    the_last_day_of_use_is_kept_whoever_notes_it,
    a_use_that_cannot_be_written_holds_up_no_request_and_is_written_later,
    the_list_of_keys_says_which_of_them_nobody_uses,
}
