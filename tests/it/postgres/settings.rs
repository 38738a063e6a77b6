//! A session depends on nothing that a role or a database sets, and has few rights.

use std::fs;

use actix_web::rt::time::sleep;
use customers_api::{
    model::{CustomerInput, SortDirection},
    record::generate_key_line,
    signature::{Algorithm, PrivateKey},
    store::{Condition, FeedStart},
};

use super::{account, id, ids, open, put};
use crate::{
    operations::repository,
    postgres_cluster::{blank_database, connect, database, execute},
    support::{Client, Service, Signer, command, eventually, mia, statuses, token_for},
};

/// What others may set, and what a statement would not survive.
const SETTINGS: [&str; 7] = [
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "idle_session_timeout = '200ms'",
    "idle_in_transaction_session_timeout = '100ms'",
    "lock_timeout = '1ms'",
    "statement_timeout = '100ms'",
    "synchronous_commit = off",
];

#[actix_web::test]
async fn requests_are_served_whatever_the_database_sets() {
    let url = database().await;
    let name = url.rsplit('/').next().unwrap();
    for setting in SETTINGS {
        execute(&url, &format!("ALTER DATABASE {name} SET {setting}")).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let service = Service::start(&url, &log, &["--sandbox"]);
    let client = Client::new();
    let path = |path: &str| format!("http://{}/customers{path}", service.address);
    for round in 0..3 {
        for number in 0..5 {
            let put = client.put(path(&format!("/c-{number}"))).json(mia().to_string());
            assert_eq!(put.status().await, if round == 0 { 201 } else { 204 });
            assert_eq!(client.get(path(&format!("/c-{number}"))).status().await, 200);
            assert_eq!(client.get(path("?PageSize=2")).status().await, 200);
        }
        // Somebody else's session is ended meanwhile.
        let idle = connect(&url).await;
        eventually("idle sessions are ended", || async { idle.is_closed() }).await;
    }
    let lines = fs::read_to_string(log).unwrap();
    let warnings: Vec<_> =
        lines.lines().filter(|line| line.contains("WARN") && !line.contains("SANDBOX")).collect();
    assert!(warnings.iter().all(|line| line.contains("are not sealed")), "{warnings:?}");
}

#[actix_web::test]
async fn a_read_that_the_writes_of_others_undid_is_tried_again() {
    let url = database().await;
    let store = open(&url).await;
    put(&store, "c-1", Condition::Always).await.unwrap();
    // Each second look fails, as it does where transactions are serialized.
    execute(
        &url,
        "CREATE SEQUENCE looks; \
         CREATE FUNCTION is_undone() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('looks') % 2 = 1 THEN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END IF; \
             RETURN false; END $$; \
         ALTER TABLE customers RENAME TO rows; \
         CREATE VIEW customers AS SELECT * FROM rows WHERE (SELECT NOT is_undone()); \
         ALTER TABLE signing_keys RENAME TO keys; \
         CREATE VIEW signing_keys AS SELECT * FROM keys WHERE (SELECT NOT is_undone())",
    )
    .await;
    assert!(store.get(&account(), &id("c-1")).await.unwrap().is_some());
    assert_eq!(ids(&store, SortDirection::Asc, 10).await, ["c-1"]);
    assert_eq!(store.scan(None, 10).await.unwrap().len(), 1);
    assert!(store.signing_keys().await.unwrap().is_empty());
}

#[actix_web::test]
async fn no_statement_is_compiled_which_would_take_far_longer_than_to_run_it() {
    let url = database().await;
    let store = open(&url).await;
    put(&store, "c-1", Condition::Always).await.unwrap();
    eventually("the event is there", || async {
        !store.events(&account(), None, FeedStart::Oldest, 10).await.unwrap().unwrap().events.is_empty()
    })
    .await;
    execute(
        &url,
        "CREATE FUNCTION is_compiled() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
             IF current_setting('jit')::boolean THEN RAISE EXCEPTION 'compiled'; END IF; \
             RETURN false; END $$; \
         ALTER TABLE customers RENAME TO rows; \
         CREATE VIEW customers AS SELECT * FROM rows WHERE NOT is_compiled(); \
         ALTER TABLE signing_keys RENAME TO keys; \
         CREATE VIEW signing_keys AS SELECT * FROM keys WHERE NOT is_compiled(); \
         ALTER TABLE events RENAME TO changes; \
         CREATE VIEW events AS SELECT * FROM changes WHERE NOT is_compiled(); \
         INSERT INTO keys VALUES ('k-1', 'acme', 'ES384', '', 0, NULL)",
    )
    .await;
    assert!(store.get(&account(), &id("c-1")).await.unwrap().is_some());
    assert_eq!(ids(&store, SortDirection::Asc, 10).await, ["c-1"]);
    assert_eq!(store.scan(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.signing_keys().await.unwrap().len(), 1);
    put(&store, "c-1", Condition::Present).await.unwrap();
    store.prune_events(0).await.unwrap();
    let page = store.events(&account(), None, FeedStart::Oldest, 10).await.unwrap().unwrap();
    assert!(page.events.is_empty(), "they are pruned");
}

/// The grants of the page.
fn grants() -> String {
    let page = fs::read_to_string(repository("docs/operations.md")).unwrap();
    let (_, block) = page.split_once("```sql\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Adds an endpoint that acknowledges everything, and one that fails.
fn add_endpoints(url: &str, seal_keys: &str) {
    let receiver = statuses();
    for status in [204, 500] {
        let to = format!("{receiver}/{status}");
        let add = ["webhooks", "add", "--account", "acme", "--url", &to, "--webhook-allow", "127.0.0.1"];
        let mut command = command();
        command.args(add).args(["--seal-keys", seal_keys, "--database-url", url]);
        assert!(command.status().unwrap().success());
    }
}

#[actix_web::test]
async fn the_grants_of_the_page_are_enough_to_serve() {
    let url = blank_database().await;
    let name = url.rsplit('/').next().unwrap().to_owned();
    let (owner, service) = (format!("{name}_owner"), format!("{name}_service"));
    let of = |role: &str| url.replacen("postgres@", &format!("{role}@"), 1);
    execute(
        &url,
        &format!(
            "CREATE ROLE {owner} LOGIN; CREATE ROLE {service} LOGIN; ALTER DATABASE {name} OWNER TO {owner}; \
            REVOKE ALL ON SCHEMA public FROM PUBLIC"
        ),
    )
    .await;
    let migrate = ["migrate", "--database-url", &of(&owner)];
    assert!(command().args(migrate).status().unwrap().success());
    execute(&of(&owner), &grants().replace(" TO service;", &format!(" TO {service};"))).await;

    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let key = PrivateKey::generate(Algorithm::Es256).unwrap();
    fs::write(file("public.pem"), key.public_key().unwrap().to_pem()).unwrap();
    let add = ["keys", "add", "--account", "acme", "--key-id", "k-1", "--public-key", &file("public.pem")];
    assert!(command().args(add).args(["--database-url", &of(&owner)]).status().unwrap().success());
    fs::write(file("seal-keys"), &*generate_key_line("k1")).unwrap();
    fs::set_permissions(file("seal-keys"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let log = directory.path().join("log");
    let arguments = ["--seal-keys", &file("seal-keys"), "--webhook-allow", "127.0.0.1"];
    let running = Service::start(&of(&service), &log, &arguments);
    add_endpoints(&of(&owner), &file("seal-keys"));
    let signer = Signer { account: account(), key, key_id: "k-1".to_owned() };
    let client = Client::new();
    let body = serde_json::to_string(&serde_json::from_value::<CustomerInput>(mia()).unwrap()).unwrap();
    let calls = [
        ("PUT", "/customers/c-1", 201),
        ("PUT", "/customers/c-1", 204),
        ("GET", "/customers/c-1", 200),
        ("GET", "/customers", 200),
        ("DELETE", "/customers/c-1", 204),
        ("DELETE", "/customers/c-1", 404),
        ("GET", "/readyz", 204),
    ];
    for (method, path, status) in calls {
        let body = if method == "PUT" { body.clone() } else { String::new() };
        let token = token_for(&signer, method, path, body.as_bytes());
        let request = client.request(method, format!("http://{}{path}", running.address)).json(body);
        let answered = request.header("Api-Signature", token).status().await;
        assert_eq!(answered, status, "{method} {path}: {:?}", fs::read_to_string(&log));
    }
    let admin = connect(&url).await;
    let count = async |rows: &str| {
        let count = admin.query_one(&format!("SELECT count(*) FROM {rows}"), &[]).await;
        count.unwrap().get::<_, i64>(0)
    };
    eventually(
        "one endpoint has got the three events, and the other one holds back the customer",
        async || {
            count("webhooks WHERE position = 3 AND failures = 0").await == 1
                && count("held_customers").await == 1
        },
    )
    .await;
    // Expired signatures are pruned every few seconds, and notes are renewed.
    let renewed = "SELECT max(expires_at) FROM sealers";
    let first: i64 = admin.query_one(renewed, &[]).await.unwrap().get(0);
    eventually("the note is renewed", || async {
        sleep(std::time::Duration::from_millis(100)).await;
        admin.query_one(renewed, &[]).await.unwrap().get::<_, i64>(0) > first
    })
    .await;
    eventually("the use of the key is noted", async || count("key_uses").await == 1).await;
    running.signal("-TERM");
    assert!(running.wait().success());
    let lines = fs::read_to_string(log).unwrap();
    assert!(!lines.contains("WARN") && !lines.contains("ERROR"), "{lines}");
    execute(&url, &format!("DROP OWNED BY {service}; DROP ROLE {service}")).await;
}
