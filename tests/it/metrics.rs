//! What the admin listener tells those who run the service, with the real binary: every metric is exact, valid for
//! Prometheus, and says nothing about anybody.

mod admin;
mod packaging;
mod scrape;
mod webhooks;

use std::{cell::RefCell, fs, process::Stdio};

use customers_api::{
    model::Timestamp,
    scope::Scope,
    signature::{Algorithm, PrivateKey},
};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;

use self::scrape::{Scrape, promtool};
use crate::support::{
    Client, Database, Engine, Raw, Service, Signer, command, eventually, mia, on_each_engine,
    register_limited, token_for,
};

/// A service with an admin listener, and an account with a key.
struct Place {
    service: Service,
    signer: Signer,
    client: Client,
    database: Database,
    folder: TempDir,
}

impl Place {
    /// `k-1` is registered, and `k-2` is revoked.
    async fn start(engine: Engine, arguments: &[&str]) -> Self {
        let (database, folder) = (engine.database().await, tempfile::tempdir().unwrap());
        let keys = |words: &[&str]| {
            let mut keys = command();
            keys.arg("keys").args(words).args(["--database-url", &database.url]).current_dir(folder.path());
            assert!(
                keys.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(),
                "{words:?}"
            );
        };
        drop(database.open().await);
        for key_id in ["k-1", "k-2"] {
            keys(&["generate", "--account", "acme", "--key-id", key_id, "--out", &format!("{key_id}.pem")]);
        }
        keys(&["revoke", "k-2"]);
        let arguments = [&["--admin-listen", "127.0.0.1:0"], arguments].concat();
        let service = Service::start(&database.url, &folder.path().join("log"), &arguments);
        let signer = signer(&folder, "k-1");
        Self { service, signer, client: Client::new(), database, folder }
    }

    fn admin(&self) -> &str {
        self.service.admin.as_deref().unwrap()
    }

    async fn admin_status(&self, method: &str, path: &str) -> u16 {
        Client::new().request(method, format!("http://{}{path}", self.admin())).status().await
    }

    async fn scrape(&self) -> Scrape {
        let answer = Client::new().get(format!("http://{}/metrics", self.admin())).send().await.expect(200);
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
        Scrape(String::from_utf8(answer.body).unwrap())
    }

    fn token(&self, method: &str, path: &str, body: &str) -> String {
        token_for(&self.signer, method, path, body.as_bytes())
    }

    /// Sends a request, and returns its status.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let uri = format!("http://{}{path}", self.service.address);
        let mut request = self.client.request(method, uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(body.to_owned()).status().await
    }

    /// The same with this signature, and as JSON.
    async fn send_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> u16 {
        let headers = [headers, &[("api-signature", token), ("content-type", "application/json")]].concat();
        self.send(method, path, &headers, body).await
    }

    /// The same with a new signature.
    async fn signed(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        self.send_with(&self.token(method, path, body), method, path, headers, body).await
    }
}

fn signer(folder: &TempDir, key_id: &str) -> Signer {
    let pem = fs::read_to_string(folder.path().join(format!("{key_id}.pem"))).unwrap();
    let key = PrivateKey::from_pem(&pem).unwrap();
    Signer { account: "acme".parse().unwrap(), key, key_id: key_id.to_owned() }
}

const ITEM: &str = "/customers/{CustomerID}";

fn requests(method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",http_route=\"{route}\",\
         http_response_status_code=\"{status}\"}}"
    )
}

fn writes(outcome: &str) -> String {
    format!("customers_store_writes_total{{outcome=\"{outcome}\"}}")
}

fn signatures(result: &str) -> String {
    format!("customers_signatures_total{{result=\"{result}\"}}")
}

async fn every_write_is_counted_by_its_outcome(engine: Engine) {
    let place = Place::start(engine, &[]).await;
    let (path, body) = ("/customers/c-1", mia().to_string());
    let before = place.scrape().await;
    for outcome in ["created", "updated", "deleted", "not_found", "condition_failed", "replayed", "failed"] {
        assert_eq!(before.count(&writes(outcome)), 0, "{outcome}");
    }

    let (put, delete) = (place.token("PUT", path, &body), place.token("DELETE", path, ""));
    let never = [("if-match", "\"00000000-0000-4000-8000-000000000000\"")];
    let refused = place.token("PUT", path, &body.replace("Mia", "Ava"));
    assert_eq!(place.send_with(&put, "PUT", path, &[], &body).await, 201);
    assert_eq!(place.signed("PUT", path, &[], &body.replace("Mia", "Eve")).await, 204);
    assert_eq!(place.send_with(&refused, "PUT", path, &never, &body.replace("Mia", "Ava")).await, 412);
    assert_eq!(place.send_with(&delete, "DELETE", path, &[], "").await, 204);
    let gone = place.token("DELETE", "/customers/c-2", "");
    assert_eq!(place.send_with(&gone, "DELETE", "/customers/c-2", &[], "").await, 404);
    // Each of them once more.
    assert_eq!(place.send_with(&put, "PUT", path, &[], &body).await, 201);
    assert_eq!(place.send_with(&refused, "PUT", path, &never, &body.replace("Mia", "Ava")).await, 412);
    assert_eq!(place.send_with(&delete, "DELETE", path, &[], "").await, 204);
    assert_eq!(place.send_with(&gone, "DELETE", "/customers/c-2", &[], "").await, 404);
    let refuse = match engine {
        Engine::Sqlite => {
            "CREATE TRIGGER nobody BEFORE INSERT ON customers BEGIN SELECT RAISE(ABORT, 'refused'); END"
        }
        Engine::Postgres => "ALTER TABLE customers ADD CONSTRAINT nobody CHECK (account = '')",
    };
    place.database.execute(refuse).await;
    assert_eq!(place.signed("PUT", path, &[], &body).await, 500);

    let after = place.scrape().await;
    for (outcome, count) in [
        ("created", 1),
        ("updated", 1),
        ("deleted", 1),
        ("not_found", 1),
        ("condition_failed", 1),
        ("replayed", 4),
        ("failed", 1),
    ] {
        assert_eq!(after.count(&writes(outcome)), count, "{outcome}");
    }
    for histogram in ["customers_store_group_writes", "customers_store_commit_duration_seconds"] {
        assert_eq!(after.count(&format!("{histogram}_count")), 10, "each write was a group of its own");
        assert_eq!(after.count(&format!("{histogram}_bucket{{le=\"+Inf\"}}")), 10);
    }
    assert_eq!(after.count("customers_store_group_writes_sum"), 10);
    assert_eq!(after.count("customers_store_group_writes_bucket{le=\"1\"}"), 10);
    assert!(after.value("customers_store_commit_duration_seconds_sum") > 0.0);
    assert_eq!(after.count("customers_store_queue_writes"), 0);
}

async fn every_signature_is_counted_by_its_result(engine: Engine) {
    let place = Place::start(engine, &[]).await;
    let path = "/customers/c-1";
    let named = |key_id: &str, key: PrivateKey| {
        let signer = Signer { account: "acme".parse().unwrap(), key, key_id: key_id.to_owned() };
        token_for(&signer, "GET", path, b"")
    };
    let fresh = || PrivateKey::generate(Algorithm::Es384).unwrap();
    let other_curve = PrivateKey::generate(Algorithm::Es256).unwrap();
    let past = Timestamp::from_micros(0);
    let expired = register_limited(&place.database.open().await, "k-3", Scope::Write, past).await;
    let expired = token_for(&expired, "GET", path, b"");
    let revoked = token_for(&signer(&place.folder, "k-2"), "GET", path, b"");
    let long = "a".repeat(9000);
    for (token, status) in [
        (place.token("GET", path, ""), 404),
        ("nonsense".to_owned(), 401),
        (long, 401),
        (named("k-9", fresh()), 401),
        (revoked, 401),
        (expired, 401),
        (named("k-1", fresh()), 401),
        (named("k-1", other_curve), 401),
        (place.token("GET", "/customers/c-2", ""), 401),
        (place.token("PUT", path, ""), 401),
        (place.token("GET", path, "{}"), 401),
    ] {
        assert_eq!(place.send("GET", path, &[("api-signature", &token)], "").await, status, "{token}");
    }
    assert_eq!(place.send("GET", path, &[], "").await, 401);
    let mut twice = Raw::connect(&place.service.address).await;
    twice
        .send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nApi-Signature: a\r\nApi-Signature: a\r\n\r\n"))
        .await;
    assert_eq!(twice.answer().await.status, 401);

    let after = place.scrape().await;
    for (result, count) in [
        ("accepted", 1),
        ("missing", 1),
        ("malformed", 3),
        ("unknown_key", 1),
        ("revoked", 1),
        ("expired_key", 1),
        ("bad_signature", 2),
        ("bad_claims", 3),
    ] {
        assert_eq!(after.count(&signatures(result)), count, "{result}");
    }
}

async fn every_request_is_counted_by_method_route_and_status(engine: Engine) {
    let place = Place::start(engine, &["--base-path", "/api"]).await;
    let body = mia().to_string();
    let put = "/api/customers/c-1";
    assert_eq!(place.signed("PUT", put, &[], &body).await, 201);
    assert_eq!(place.signed("PUT", put, &[], "{}").await, 400);
    for _ in 0..3 {
        assert_eq!(place.signed("GET", put, &[], "").await, 200);
    }
    assert_eq!(place.signed("HEAD", put, &[], "").await, 200);
    assert_eq!(place.signed("GET", "/api/customers?PageSize=0", &[], "").await, 400);
    assert_eq!(place.signed("GET", "/api/customers", &[], "").await, 200);
    assert_eq!(place.send("POST", put, &[], "").await, 405);
    for (path, status) in [
        ("/api/livez", 204),
        ("/api/readyz", 204),
        ("/api/openapi.json", 200),
        ("/api/swagger-ui/index.html", 200),
        ("/metrics", 404),
        ("/api/metrics", 404),
        ("/livez", 404),
    ] {
        assert_eq!(place.send("GET", path, &[], "").await, status, "{path}");
    }
    let mut client = Raw::connect(&place.service.address).await;
    client.send(&format!("PUT {put} HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n{{")).await;
    eventually("the request is there", || async {
        place.scrape().await.count("http_server_active_requests") == 1
    })
    .await;
    client.reset();
    eventually("the request is given up", || async {
        place.scrape().await.find(&requests("PUT", ITEM, 499)).is_some()
    })
    .await;

    let after = place.scrape().await;
    for (series, count) in [
        (requests("PUT", ITEM, 201), 1),
        (requests("PUT", ITEM, 400), 1),
        (requests("PUT", ITEM, 499), 1),
        (requests("GET", ITEM, 200), 3),
        (requests("HEAD", ITEM, 200), 1),
        (requests("POST", ITEM, 405), 1),
        (requests("GET", "/customers", 400), 1),
        (requests("GET", "/customers", 200), 1),
        (requests("GET", "/livez", 204), 1),
        (requests("GET", "/readyz", 204), 1),
        (requests("GET", "/openapi.json", 200), 1),
        (requests("GET", "/swagger-ui/{file}*", 200), 1),
        (requests("GET", "unmatched", 404), 3),
    ] {
        assert_eq!(after.count(&series), count, "{series}: {}", after.0);
    }
    assert_eq!(after.count("http_server_active_requests"), 0);
    let counted = after.series("http_server_request_duration_seconds_count");
    let counted: u64 = counted.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
    assert_eq!(counted, 17, "and no others: {}", after.0);
}

async fn promtool_finds_nothing_wrong_with_the_metrics(engine: Engine) {
    let place = Place::start(engine, &[]).await;
    assert_eq!(place.signed("PUT", "/customers/c-1", &[], &mia().to_string()).await, 201);
    let scrape = place.scrape().await;
    promtool(&["check", "metrics"], &scrape.0);

    let version = env!("CARGO_PKG_VERSION");
    let engine = if engine == Engine::Sqlite { "sqlite" } else { "postgres" };
    assert_eq!(
        scrape.count(&format!("customers_build_info{{engine=\"{engine}\",version=\"{version}\"}}")),
        1
    );
    assert_eq!(scrape.count("customers_ready"), 1);
    assert!(scrape.value("customers_registry_age_seconds") < 5.0);
    for name in ["cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "start_time_seconds"] {
        assert!(scrape.value(&format!("process_{name}")) >= 0.0, "{name}");
    }
    assert!(scrape.value("process_cpu_seconds_total").fract() > 0.0, "not whole seconds");
    let bounds = |histogram: &str| {
        let buckets = scrape.series(&format!("{histogram}_bucket"));
        let bound =
            |series: &str| series.split("le=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        buckets.map(|(series, _)| bound(series)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(bounds("customers_store_group_writes"), "1 2 4 8 16 32 64 128 +Inf");
    let durations = "0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf";
    assert_eq!(bounds("customers_store_commit_duration_seconds"), durations);
    assert_eq!(bounds("http_server_request_duration_seconds"), durations);
}

async fn writes_that_wait_are_shown(engine: Engine) {
    const WRITES: usize = 200;
    const GROUP_MAX: u64 = 128;
    let place = Place::start(engine, &["--sandbox"]).await;
    let (lock, body, done) = (place.database.lock().await, mia().to_string(), RefCell::new(0));
    let puts = join_all((0..WRITES).map(|_| async {
        let (client, url) = (Client::new(), format!("http://{}/customers/c-1", place.service.address));
        let status = client.put(url).json(body.clone()).status().await;
        *done.borrow_mut() += 1;
        status
    }));
    let watch = async {
        eventually("writes wait", || async {
            let scrape = place.scrape().await;
            scrape.count("http_server_active_requests") == 200
                && scrape.count("customers_store_queue_writes") >= 200 - GROUP_MAX
        })
        .await;
        assert_eq!(*done.borrow(), 0);
        lock.release().await;
    };
    let (statuses, ()) = tokio::join!(puts, watch);
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    let after = place.scrape().await;
    assert_eq!(after.count("customers_store_queue_writes"), 0);
    assert_eq!(after.count(&writes("created")) + after.count(&writes("updated")), 200);
    assert_eq!(after.count("customers_store_group_writes_sum"), 200);
    assert!(after.count("customers_store_group_writes_count") < 100);
}

async fn what_clients_make_up_makes_no_series_and_is_not_told(engine: Engine) {
    let place = Place::start(engine, &[]).await;
    let round = |number: usize| {
        let place = &place;
        async move {
            let (id, body) = (format!("Mia-{number}"), json!({ "Muster": number }).to_string());
            let customer = format!("/customers/{id}");
            let other = Signer {
                account: "Musterbank".parse().unwrap(),
                key: PrivateKey::generate(Algorithm::Es384).unwrap(),
                key_id: format!("Muster-{number}"),
            };
            let statuses = [
                place.signed("PUT", &customer, &[], &mia().to_string()).await,
                place.signed("GET", &customer, &[], "").await,
                place.signed("PUT", &customer, &[], &body).await,
                place.signed("GET", &format!("/customers?Mia={number}"), &[], "").await,
                place.send_with(&token_for(&other, "GET", &customer, b""), "GET", &customer, &[], "").await,
                place.send("GET", &format!("/Muster/{number}"), &[], "").await,
                place.send("GET", &format!("/customers/{id}/Muster"), &[], "").await,
                place.send(&format!("MIA{number}"), &customer, &[], "").await,
                place.send(&format!("MUSTER{number}"), &format!("/Muster-{number}"), &[], "").await,
                place.send("PROPFIND", &format!("/Mia-{number}"), &[], "").await,
                place.send("GET", &format!("/swagger-ui/Mia{number}"), &[], "").await,
                place.signed("DELETE", &customer, &[("traceparent", &id)], "").await,
                place.send("GET", &format!("/livez?Mia={number}"), &[("host", "Muster")], "").await,
            ];
            assert_eq!(statuses, [201, 200, 400, 400, 401, 404, 404, 405, 404, 404, 404, 204, 204]);
        }
    };
    round(0).await;
    let before = place.scrape().await;
    for number in 1..5 {
        round(number).await;
    }
    let after = place.scrape().await;
    assert_eq!(before.names(), after.names());
    for word in ["Mia", "MIA", "Muster", "MUSTER", "acme", "k-1", "1990-", "PROPFIND", "c-1", "customers.db"]
    {
        assert!(!after.0.contains(word), "{word}: {}", after.0);
    }
    assert_eq!(after.count(&requests("_OTHER", ITEM, 405)), 5);
    assert_eq!(after.count(&requests("_OTHER", "unmatched", 404)), 10);
}

on_each_engine! {
    every_write_is_counted_by_its_outcome,
    every_signature_is_counted_by_its_result,
    every_request_is_counted_by_method_route_and_status,
    promtool_finds_nothing_wrong_with_the_metrics,
    writes_that_wait_are_shown,
    what_clients_make_up_makes_no_series_and_is_not_told,
}
