//! `backup`: a copy of a SQLite database that is whole or not there, made while others write, and restored.

use std::{
    cell::Cell,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use customers_api::store::{Access, DatabaseUrl, Store};

use crate::support::{Client, Database, Engine, Service, TestApi, command, full, mia};

fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

fn run(database: &Database, file: &Path) -> Output {
    command().args(["backup", file.to_str().unwrap(), "--database-url", &database.url]).output().unwrap()
}

#[track_caller]
fn back_up(database: &Database, file: &Path) {
    let output = run(database, file);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The names of the files beside a file.
fn beside(file: &Path) -> Vec<String> {
    let entries = fs::read_dir(file.parent().unwrap()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn database_file(database: &Database) -> PathBuf {
    database.url.strip_prefix("sqlite:").unwrap().into()
}

/// A folder for backups, and a file in it that is not there yet.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    (folder, file)
}

#[actix_web::test]
async fn a_backup_that_is_restored_serves_what_was_there() {
    let api = TestApi::start(Engine::Sqlite).await;
    let (_folder, file) = place();
    api.put("c-1", &full()).send().await.expect(201);
    api.put("gone", &mia()).send().await.expect(201);
    let before = api.get("c-1").send().await.expect(200);
    back_up(&api.database, &file);
    assert_eq!(beside(&file), ["backup.db"], "one file, and nothing beside it");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    api.put("c-1", &mia()).send().await.expect(204);
    api.delete("gone").send().await.expect(204);
    api.put("later", &mia()).send().await.expect(201);

    // A restore: the files of before go away, and the copy takes their place.
    let restored = Engine::Sqlite.database().await;
    let there = database_file(&restored);
    drop(restored.open().await);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", there.display()));
    }
    fs::copy(&file, &there).unwrap();
    let service = api.over(restored).await;
    let after = service.get("c-1").send().await.expect(200);
    assert_eq!((after.header("ETag"), &after.body), (before.header("ETag"), &before.body));
    service.get("gone").send().await.expect(200);
    service.get("later").send().await.expect(404);
    service.put("c-1", &mia()).send().await.expect(204);
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o600);
}

#[actix_web::test]
async fn writes_go_on_while_a_backup_is_made_and_the_copy_is_of_one_moment() {
    const BACKUPS: usize = 5;
    let api = TestApi::start(Engine::Sqlite).await;
    let (folder, _) = place();
    for number in 0..200 {
        api.put(&format!("old-{number}"), &full()).send().await.expect(201);
    }
    let (is_over, acknowledged) = (Cell::new(false), Cell::new(0));
    let writes = async {
        while !is_over.get() {
            let id = format!("new-{:05}", acknowledged.get());
            api.put(&id, &full()).send().await.expect(201);
            acknowledged.set(acknowledged.get() + 1);
        }
    };
    let backups = async {
        let mut bounds = Vec::new();
        for number in 0..BACKUPS {
            let (database, file) = (api.database.shared(), folder.path().join(format!("{number}.db")));
            let before = acknowledged.get();
            actix_web::rt::task::spawn_blocking(move || back_up(&database, &file)).await.unwrap();
            // One more may be on its way.
            bounds.push(before..=acknowledged.get() + 1);
        }
        is_over.set(true);
        bounds
    };
    let ((), bounds) = futures_util::future::join(writes, backups).await;
    for (number, bounds) in bounds.into_iter().enumerate() {
        let copy: DatabaseUrl = url(&folder.path().join(format!("{number}.db"))).parse().unwrap();
        let store = Store::open(&copy, Access::Existing).await.unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let rows = store.scan(after, 100).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some((last.account.clone(), last.customer_id.clone()));
            found.extend(rows.into_iter().map(|row| row.customer_id).filter(|id| id.starts_with("new-")));
        }
        assert!(bounds.contains(&found.len()), "{bounds:?}: {}", found.len());
        let expected: Vec<String> = (0..found.len()).map(|number| format!("new-{number:05}")).collect();
        assert_eq!(found, expected, "everything up to one write, and nothing after it");
    }
}

#[actix_web::test]
async fn a_backup_replaces_no_file() {
    let database = Engine::Sqlite.database().await;
    drop(database.open().await);
    let (folder, file) = place();
    fs::write(&file, "precious").unwrap();
    let refused = run(&database, &file);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(said, format!("error: the file {} is there already\n", file.display()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(beside(&file), ["backup.db"]);

    let other = folder.path().join("other.db");
    fs::create_dir(folder.path().join("other.db.partial")).unwrap();
    let refused = run(&database, &other);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.status.code() == Some(1) && said.contains("or was interrupted: if so, run `rm -r"),
        "{said}"
    );
    assert!(!other.exists());

    let nowhere = run(&database, &folder.path().join("no/such/folder/backup.db"));
    assert_eq!(nowhere.status.code(), Some(1));
    let missing = Database::at(url(&folder.path().join("missing.db")));
    assert_eq!(run(&missing, &folder.path().join("new.db")).status.code(), Some(1));
    assert_eq!(beside(&file), ["backup.db", "other.db.partial"], "a failure leaves nothing behind");
}

#[actix_web::test]
async fn a_backup_that_is_interrupted_is_whole_or_not_there() {
    let api = TestApi::start(Engine::Sqlite).await;
    let mut large = full();
    large["Identities"] = vec![large["Identities"][1].clone(); 10_000].into();
    for number in 0..20 {
        api.put(&format!("c-{number}"), &large).send().await.expect(201);
    }
    for signal in ["-INT", "-TERM", "-KILL"] {
        let (_folder, file) = place();
        let mut child = command()
            .args(["backup", file.to_str().unwrap(), "--database-url", &api.database.url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while beside(&file).is_empty() {
            std::thread::yield_now();
        }
        // It may be too late.
        let _ = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        if file.exists() {
            let verify = ["verify", "--database-url", &url(&file)];
            assert!(command().args(verify).output().unwrap().status.success(), "{signal}: it is whole");
        } else if signal == "-KILL" {
            assert_eq!(beside(&file), ["backup.db.partial"], "and no file of the name of a backup");
        } else {
            assert_eq!((status.code(), beside(&file)), (Some(1), Vec::new()), "{signal}");
        }
    }
}

/// Everything that a database's file has beside it when its service was killed.
async fn killed_service(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&database.url, &folder.path().join("log"), &["--sandbox"]);
    let client = Client::new();
    for number in 0..15 {
        let url = format!("http://{}/customers/later-{number}", service.address);
        assert_eq!(client.put(url).json(full().to_string()).status().await / 100, 2);
    }
    service.signal("-KILL");
    assert!(!service.wait().success());
}

#[actix_web::test]
async fn a_backup_beside_the_log_of_another_file_is_refused_in_one_line() {
    let database = Engine::Sqlite.database().await;
    let (_folder, file) = place();
    killed_service(&database).await;
    back_up(&database, &file);
    // It may be looked at before it is needed.
    let verify = |url: &str| command().args(["verify", "--database-url", url]).output().unwrap();
    assert_eq!(String::from_utf8(verify(&url(&file)).stdout).unwrap(), "15 customers match the contract\n");
    assert_eq!(beside(&file), ["backup.db"], "it stays what it was");

    killed_service(&database).await;
    let there = database_file(&database);
    let wal = format!("{}-wal", there.display());
    assert!(fs::metadata(&wal).unwrap().len() > 0, "the service was killed");
    fs::copy(&file, &there).unwrap();
    let calls: [&[&str]; 5] = [
        &["verify"],
        &["serve", "--listen", "127.0.0.1:0", "--log", "off"],
        &["keys", "list"],
        &["export"],
        &["migrate"],
    ];
    for call in calls {
        let refused = command().args(call).args(["--database-url", &database.url]).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!((refused.status.code(), said.lines().count()), (Some(1), 1), "{call:?}: {said}");
        assert!(said.contains(&format!("the log {wal} was left by another database")), "{call:?}: {said}");
        assert!(said.contains("move the log and ") && said.ends_with("-shm away, and try again\n"), "{said}");
    }
    assert_eq!(fs::read(&file).unwrap(), fs::read(&there).unwrap(), "nothing was written into it");

    for suffix in ["wal", "shm"] {
        fs::remove_file(format!("{}-{suffix}", there.display())).unwrap();
    }
    assert_eq!(String::from_utf8(verify(&database.url).stdout).unwrap(), "15 customers match the contract\n");
    killed_service(&database).await;
    assert!(fs::metadata(&wal).unwrap().len() > 0);
    assert!(verify(&database.url).status.success(), "its own log is welcome");
}

#[actix_web::test]
async fn a_log_without_its_database_is_not_thrown_away() {
    let database = Engine::Sqlite.database().await;
    killed_service(&database).await;
    let there = database_file(&database);
    let log = fs::read(format!("{}-wal", there.display())).unwrap();
    for left in [None, Some("")] {
        match left {
            None => fs::remove_file(&there).unwrap(),
            Some(text) => fs::write(&there, text).unwrap(),
        }
        let refused = command().args(["migrate", "--database-url", &database.url]).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && said.contains("was left by another database"), "{said}");
        assert_eq!(there.exists(), left.is_some());
        assert_eq!(fs::read(format!("{}-wal", there.display())).unwrap(), log);
    }
}
