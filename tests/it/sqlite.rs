//! What is special to SQLite: what the suites that run on each engine do not show.

use std::{fs, io::Write as _, time::Duration};

use customers_api::{
    account::Account,
    clock,
    model::{CustomerInput, SortDirection},
    store::{
        Access, Condition, DatabaseUrl, InvalidDatabaseUrl, NewVersion, PutOutcome, Record, Store, StoreError,
    },
};

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use futures_util::{
    FutureExt as _,
    future::{join, join_all},
};
use tokio::time::timeout;

use crate::support::{Database, Engine, eventually, mia};

fn account() -> Account {
    "acme".parse().unwrap()
}

async fn put(store: &Store, customer_id: &str) -> Result<PutOutcome, StoreError> {
    let input: CustomerInput = serde_json::from_value(mia()).unwrap();
    let record = Record { bytes: serde_json::to_vec(&input).unwrap(), sealed_by: None };
    store.put(&account(), customer_id.parse().unwrap(), NewVersion::of(None), record, Condition::Always).await
}

async fn create(store: &Store, customer_id: &str) {
    let outcome = put(store, customer_id).await;
    assert!(matches!(outcome, Ok(PutOutcome::Created(_))), "{outcome:?}");
}

#[test]
fn an_unknown_database_is_refused() {
    for url in [
        "mysql://host/customers",
        "customers.db",
        "",
        "SQLITE:customers.db",
        "file:customers.db",
        "sqlite3:a",
    ] {
        assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl::Scheme), "{url}");
    }
    for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:a?mode=memory"] {
        assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl::Path), "{url}");
    }
}

#[actix_web::test]
async fn a_file_that_must_be_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("customers.db");
    let url: DatabaseUrl = format!("sqlite:{}", path.display()).parse().unwrap();
    assert!(matches!(Store::open(&url, Access::Existing).await, Err(StoreError::Unavailable(_))));
    assert!(!path.exists());
}

#[actix_web::test]
async fn customers_are_listed_in_the_order_of_creation_also_after_the_clock_was_set_back() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    create(&store, "first").await;
    let tomorrow = clock::now().timestamp_micros() + 86_400_000_000;
    database.execute(&format!("UPDATE customers SET created_at = {tomorrow}, updated_at = {tomorrow}")).await;
    drop(store);

    let store = database.open().await;
    create(&store, "second").await;

    let listed = store.list(&account(), SortDirection::Asc, None, 10).await.unwrap().customers;
    let ids: Vec<_> = listed.iter().map(|customer| customer.customer_id.as_str()).collect();
    assert_eq!(ids, ["first", "second"]);
    assert!(listed[1].created.micros() > tomorrow);
}

#[actix_web::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let url: DatabaseUrl =
        format!("sqlite:{}", directory.path().join("customers.db").display()).parse().unwrap();
    let store = Store::open(&url, Access::Create).await.unwrap();
    create(&store, "c-1").await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

/// A connection of somebody else.
fn somebody(database: &Database) -> SqliteConnection {
    SqliteConnection::establish(database.url.strip_prefix("sqlite:").unwrap()).unwrap()
}

#[actix_web::test]
async fn while_somebody_holds_the_write_lock_writes_do_not_wait_for_it_one_after_the_other() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    create(&store, "c-1").await;
    let mut somebody = somebody(&database);
    somebody.batch_execute("BEGIN IMMEDIATE").unwrap();

    // Far less than 40 times the time for which a write waits for a lock.
    let limit = Duration::from_secs(30);
    let refused = timeout(limit, async {
        let at_once = join_all((0..20).map(async |number| put(&store, &format!("a-{number}")).await)).await;
        let mut refused = at_once;
        for number in 0..20 {
            refused.push(put(&store, &format!("b-{number}")).await);
        }
        refused
    });
    for outcome in refused.await.expect("all are answered in time") {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    store.get(&account(), &"c-1".parse().unwrap()).await.unwrap().expect("readers do not wait for the lock");

    somebody.batch_execute("ROLLBACK").unwrap();
    create(&store, "c-2").await;
    somebody.batch_execute("BEGIN IMMEDIATE").unwrap();
    let (written, ()) = join(put(&store, "c-3"), async {
        // Not at once: the lock was gone meanwhile, so a write waits for it again.
        tokio::task::yield_now().await;
        somebody.batch_execute("ROLLBACK").unwrap();
    })
    .await;
    assert!(matches!(written, Ok(PutOutcome::Created(_))), "{written:?}");
}

#[actix_web::test]
async fn a_write_whose_caller_gave_up_is_not_made_later() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    let mut somebody = somebody(&database);
    somebody.batch_execute("BEGIN IMMEDIATE").unwrap();
    let first = put(&store, "first");
    let mut first = Box::pin(first);
    assert!(first.as_mut().now_or_never().is_none());
    // The writer has taken the first one when the queue is empty; what comes then waits behind it.
    let given_up = put(&store, "given-up").now_or_never();
    assert!(given_up.is_none(), "it waits, and then its caller gives up");
    somebody.batch_execute("ROLLBACK").unwrap();

    assert!(first.await.is_ok());
    create(&store, "last").await;
    let listed = store.list(&account(), SortDirection::Asc, None, 10).await.unwrap().customers;
    let ids: Vec<_> = listed.iter().map(|customer| customer.customer_id.as_str()).collect();
    assert_eq!(ids, ["first", "last"]);
}

/// Asks everything of a store whose file is gone, and once more when the file is back.
async fn is_refused_for_good(store: &Store, put_back: impl FnOnce()) {
    let gone = |error: StoreError| matches!(error, StoreError::Unavailable(_));
    assert!(put(store, "c-2").await.is_err_and(gone));
    assert!(store.delete(&account(), "c-1".parse().unwrap(), None, None).await.is_err_and(gone));
    assert!(store.get(&account(), &"c-1".parse().unwrap()).await.is_err_and(gone));
    assert!(store.list(&account(), SortDirection::Asc, None, 10).await.is_err_and(gone));
    assert!(store.signing_keys().await.is_err_and(gone));
    assert!(store.check().await.is_err_and(gone));
    put_back();
    assert!(put(store, "c-2").await.is_err_and(gone), "nobody knows what happened meanwhile");
    assert!(store.check().await.is_err_and(gone));
}

#[actix_web::test]
async fn a_file_that_was_moved_deleted_or_replaced_is_not_written_to() {
    let remove: fn(&str, &str) = |path, _| fs::remove_file(path).unwrap();
    let rename: fn(&str, &str) = |path, aside| fs::rename(path, aside).unwrap();
    let replace: fn(&str, &str) = |path, aside| {
        fs::copy(path, aside).unwrap();
        fs::rename(aside, path).unwrap();
    };
    for (suffix, act) in [("", remove), ("", rename), ("", replace)]
        .into_iter()
        .chain([("-wal", remove), ("-wal", rename), ("-wal", replace)])
        .chain([("-shm", remove), ("-shm", rename), ("-shm", replace)])
    {
        let database = Engine::Sqlite.database().await;
        let store = database.open().await;
        create(&store, "c-1").await;
        let path = database.url.strip_prefix("sqlite:").unwrap().to_owned() + suffix;
        let aside = format!("{path}.aside");
        act(&path, &aside);
        // It may not be aside; then it stays away.
        is_refused_for_good(&store, || drop(fs::rename(&aside, &path))).await;
    }
}

#[actix_web::test]
async fn a_file_that_holds_garbage_does_not_pass_the_check() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    create(&store, "c-1").await;
    store.check().await.unwrap();
    let path = database.url.strip_prefix("sqlite:").unwrap();
    // In place, so that it is still the same file.
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.write_all(&vec![0x5a; 64 * 1024]).unwrap();
    // What is in the log is read from there.
    fs::File::options().write(true).open(format!("{path}-wal")).unwrap().set_len(0).unwrap();
    assert!(store.check().await.is_err());
}

#[actix_web::test]
async fn the_log_is_moved_into_the_file_while_writes_come() {
    let database = Engine::Sqlite.database().await;
    let store = database.open().await;
    let file = || std::fs::metadata(database.url.strip_prefix("sqlite:").unwrap()).unwrap().len();
    let before = file();
    for hundred in 0..20 {
        let ids: Vec<String> = (0..100).map(|number| format!("c-{hundred}-{number}")).collect();
        join_all(ids.iter().map(|id| create(&store, id))).await;
    }
    eventually("the rows are in the file", || async { file() > before + 1_000_000 / 4 }).await;
}

#[actix_web::test]
async fn a_link_leads_to_the_file_until_it_leads_elsewhere() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    for folder in ["one", "other"] {
        fs::create_dir(file(folder)).unwrap();
    }
    // A link to a file that is not there yet, by a link to its folder.
    symlink("one", file("folder")).unwrap();
    symlink("folder/real.db", file("customers.db")).unwrap();
    let url: DatabaseUrl = format!("sqlite:{}", file("customers.db").display()).parse().unwrap();
    let store = Store::open(&url, Access::Create).await.unwrap();
    create(&store, "c-1").await;
    store.check().await.unwrap();
    assert!(file("one/real.db-wal").exists() && !file("customers.db-wal").exists());

    fs::copy(file("one/real.db"), file("other/real.db")).unwrap();
    fs::remove_file(file("folder")).unwrap();
    symlink("other", file("folder")).unwrap();
    let refused = put(&store, "c-2").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "nobody would find it again: {refused:?}");
}

#[actix_web::test]
async fn a_folder_that_nothing_may_be_written_in_is_named() {
    use std::{os::unix::fs::PermissionsExt as _, process::Command};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("customers.db");
    drop(Store::open(&format!("sqlite:{}", file.display()).parse().unwrap(), Access::Create).await.unwrap());
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", file.display()));
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write everywhere, so it becomes a user without a name.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let binary = env!("CARGO_BIN_EXE_customers-api");
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=54321", "--regid=54321", "--clear-groups", binary]);
        command
    } else {
        Command::new(binary)
    };
    let url = format!("sqlite:{}", file.display());
    let refused = command.args(["migrate", "--database-url", &url]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = format!("must be able to write in the folder {}", directory.path().display());
    assert!(refused.status.code() == Some(1) && said.contains(&folder), "{said}");
}
