//! What was deleted or replaced leaves the files of a SQLite database, too.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use customers_api::{
    account::Account,
    random,
    store::{Condition, NewVersion, Record, Store, StoreError},
};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, connection::SimpleConnection as _,
    sql_query, sql_types::Text,
};
use futures_util::future::join_all;

use crate::support::{Client, Database, Engine, Service, eventually, mia};

fn account() -> Account {
    "acme".parse().unwrap()
}

/// Puts customers at once, each under its id, with a record that names the text.
async fn put(store: &Store, customers: &[(String, String)], scale: usize) {
    for customers in customers.chunks(500) {
        let account = account();
        let puts = customers.iter().map(|(id, text)| {
            let length = scale * (1 + usize::from(text.as_bytes()[text.len() - 1]) % 9);
            let record = Record { bytes: format!("{text:.<length$}").into_bytes(), sealed_by: None };
            store.put(&account, id.parse().unwrap(), NewVersion::of(None), record, Condition::Always)
        });
        for outcome in join_all(puts).await {
            outcome.unwrap();
        }
    }
}

/// The length of an id and of a text: a prefix, a letter, and 24 digits.
const WORD_BYTES: usize = 32;

/// So many ids without an order, each with a text that exists only once. The prefix has seven letters, so that it is not in the
/// file by chance: versions and ids of events are random bytes.
fn customers(prefix: &str, number: usize) -> Vec<(String, String)> {
    let name = |kind: &str| format!("{prefix}{kind}{}", &random::uuid().simple().to_string()[..24]);
    (0..number).map(|_| (name("i"), name("t"))).collect()
}

/// Where the file is.
fn path(database: &Database) -> &str {
    database.url.strip_prefix("sqlite:").unwrap()
}

/// Which words that begin like this are anywhere in the database's files.
fn words(database: &Database, prefix: &str) -> BTreeSet<String> {
    let path = path(database);
    let bytes = ["", "-wal", "-shm"].map(|suffix| fs::read(format!("{path}{suffix}")).unwrap()).concat();
    let starts = bytes.windows(prefix.len()).enumerate().filter(|(_, window)| *window == prefix.as_bytes());
    let word = |start: usize| {
        let word = bytes[start..].iter().take(WORD_BYTES).take_while(|byte| byte.is_ascii_alphanumeric());
        String::from_utf8(word.copied().collect()).unwrap()
    };
    starts.map(|(start, _)| word(start)).collect()
}

#[derive(QueryableByName)]
struct Check {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[actix_web::test]
async fn no_byte_of_what_was_deleted_or_replaced_is_left_in_the_files() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    let (kept, deleted, replaced) =
        (customers("KEEPERS", 2000), customers("DELETED", 2000), customers("REPLACE", 2000));
    for part in 0..4 {
        let quarter = |all: &[(String, String)]| all[part * 500..(part + 1) * 500].to_vec();
        put(&store, &[quarter(&kept), quarter(&deleted), quarter(&replaced)].concat(), 60).await;
    }
    // Records that grow and shrink make SQLite move their neighbours between pages, which leaves copies in the gaps.
    for scale in [200, 30, 150] {
        put(&store, &[kept.clone(), deleted.clone(), replaced.clone()].concat(), scale).await;
    }
    let both = |customers: &[(String, String)]| -> BTreeSet<String> {
        customers.iter().flat_map(|(id, text)| [id.clone(), text.clone()]).collect()
    };
    assert!(words(&database, "DELETED").is_superset(&both(&deleted)), "they are found while they are there");
    let ids: BTreeSet<_> = deleted.iter().map(|(id, _)| id.clone()).collect();
    for ids in deleted.chunks(500) {
        let account = account();
        let deletes = ids.iter().map(|(id, _)| store.delete(&account, id.parse().unwrap(), None, None));
        assert!(join_all(deletes).await.into_iter().all(|outcome| outcome.is_ok()));
    }
    let again: Vec<_> = replaced.iter().map(|(id, _)| (id.clone(), "NEW".to_owned() + id)).collect();
    put(&store, &again, 60).await;

    store.erase().await.unwrap();

    assert_eq!(words(&database, "DELETEDt"), BTreeSet::new());
    assert_eq!(words(&database, "REPLACEt"), BTreeSet::new());
    assert!(
        words(&database, "DELETED").is_superset(&ids),
        "the events have the ids, as long as they are kept"
    );
    store.prune_events(0).await.unwrap();
    store.erase().await.unwrap();
    assert_eq!(words(&database, "DELETED"), BTreeSet::new());
    assert_eq!(
        words(&database, "KEEPERS").difference(&both(&kept)).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    for (id, text) in kept.iter().chain(&again) {
        let stored = store.get(&account(), &id.parse().unwrap()).await.unwrap().unwrap();
        assert!(stored.record.bytes.starts_with(text.as_bytes()));
    }
    let mut connection = SqliteConnection::establish(path(&database)).unwrap();
    let checks: Vec<Check> = sql_query("PRAGMA integrity_check").load(&mut connection).unwrap();
    assert_eq!(checks.iter().map(|check| check.integrity_check.as_str()).collect::<Vec<_>>(), ["ok"]);
}

#[actix_web::test]
async fn erasing_goes_on_by_itself_under_traffic() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    let deleted = customers("DELETED", 500);
    put(&store, &deleted, 60).await;
    let ids: Vec<_> = deleted.iter().map(|(id, _)| id.parse().unwrap()).collect();
    for id in ids {
        store.delete(&account(), id, None, None).await.unwrap();
    }
    eventually("the deleted customers leave the files", || async {
        put(&store, &customers("KEEPERS", 20), 60).await;
        words(&database, "DELETEDt").is_empty()
    })
    .await;
}

/// Puts a customer with the first name `DELETEDfirst`, which is in the files then, and deletes it.
async fn put_and_delete(service: &Service, database: &Database) {
    let client = Client::new();
    let url = format!("http://{}/customers/c-1", service.address);
    let mut customer = mia();
    customer["FullName"]["FirstName"] = "DELETEDfirst".into();
    assert_eq!(client.put(&url).json(customer.to_string()).status().await, 201);
    assert!(words(database, "DELETED").contains("DELETEDfirst"));
    assert_eq!(client.delete(&url).status().await, 204);
}

/// How many bytes the write-ahead log has.
fn log_bytes(database: &Database) -> u64 {
    fs::metadata(format!("{}-wal", path(database))).unwrap().len()
}

#[actix_web::test]
async fn a_file_that_nothing_was_deleted_from_is_left_alone() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    put(&store, &customers("KEEPERS", 20), 60).await;
    let before = log_bytes(&database);
    assert!(before > 0);
    store.erase().await.unwrap();
    assert_eq!(log_bytes(&database), before, "the log is not emptied");

    put(&store, &[("KEEPERSi".to_owned(), "KEEPERSt".to_owned())], 60).await;
    put(&store, &[("KEEPERSi".to_owned(), "NEWt".to_owned())], 60).await;
    store.erase().await.unwrap();
    assert!(log_bytes(&database) < before, "something was replaced");
}

#[actix_web::test]
async fn what_was_deleted_before_the_start_is_erased_after_it() {
    let database = Engine::Sqlite.database().await;
    let directory = tempfile::tempdir().unwrap();
    let service = Service::start(&database.url, &directory.path().join("log"), &["--sandbox"]);
    put_and_delete(&service, &database).await;
    service.signal("-KILL");
    assert!(!service.wait().success());
    assert!(words(&database, "DELETED").contains("DELETEDfirst"), "nobody has erased it");

    let store = database.open().await;
    store.erase().await.unwrap();
    assert!(words(&database, "DELETED").is_empty());
}

#[actix_web::test]
async fn a_clean_stop_erases_first() {
    let database = Engine::Sqlite.database().await;
    let directory = tempfile::tempdir().unwrap();
    let service = Service::start(&database.url, &directory.path().join("log"), &["--sandbox"]);
    put_and_delete(&service, &database).await;
    service.signal("-TERM");
    assert!(service.wait().success());
    let path = path(&database);
    let left = fs::read(path).unwrap();
    assert!(!left.windows(12).any(|window| window == b"DELETEDfirst"), "not in the file");
    let log = fs::read(format!("{path}-wal")).unwrap_or_default();
    assert!(log.is_empty(), "and the log is empty");
}

#[actix_web::test]
async fn erasing_that_waits_is_one_line_of_the_log_and_a_metric() {
    let database = Engine::Sqlite.database().await;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let service = Service::start(&database.url, &log, &["--sandbox", "--admin-listen", "127.0.0.1:0"]);
    let metrics = format!("http://{}/metrics", service.admin.as_ref().unwrap());
    let client = Client::new();
    let wait = || async {
        let answer = client.get(&metrics).send().await;
        let text = String::from_utf8(answer.body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("customers_store_erase_wait_seconds "));
        line.unwrap().parse::<f64>().unwrap()
    };
    assert!(wait().await <= 0.0);
    let url = format!("http://{}/customers/c-1", service.address);
    assert_eq!(client.put(&url).json(mia().to_string()).status().await, 201);
    let mut reader = SqliteConnection::establish(path(&database)).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM customers").unwrap();
    // Whoever closes the files in this process now takes the reader's locks away.
    assert_eq!(client.delete(&url).status().await, 204);
    eventually("an attempt fails", || async { wait().await > 0.0 }).await;
    eventually("another one fails", || async { wait().await > 3.0 }).await;
    reader.batch_execute("ROLLBACK").unwrap();
    eventually("erasing goes on", || async { wait().await <= 0.0 }).await;
    assert!(words(&database, "Musterstadt").is_empty());
    let lines = fs::read_to_string(log).unwrap();
    assert_eq!(lines.matches("deleted rows are not erased yet").count(), 1, "{lines}");
    assert_eq!(lines.matches("deleted rows are erased: nothing holds them").count(), 1, "{lines}");
}

#[actix_web::test]
async fn a_snapshot_that_stays_open_holds_up_nobody() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    put(&store, &customers("KEEPERS", 20), 60).await;
    let (id, text) = customers("DELETED", 1).remove(0);
    put(&store, &[(id.clone(), text)], 60).await;
    let mut reader = SqliteConnection::establish(path(&database)).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM customers").unwrap();
    store.delete(&account(), id.parse().unwrap(), None, None).await.unwrap();

    // To wait for the snapshot would take as long as for a lock, and keep writers out: ten times two seconds.
    let started = Instant::now();
    for _ in 0..10 {
        let refused = store.erase().await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        put(&store, &customers("KEEPERS", 1), 60).await;
    }
    assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
    assert!(!words(&database, "DELETEDt").is_empty());
    reader.batch_execute("ROLLBACK").unwrap();
    store.erase().await.unwrap();
    assert!(words(&database, "DELETEDt").is_empty());
}
