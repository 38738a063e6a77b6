//! Real processes: who sends is killed, frozen, or loses the database, and nothing is lost or overtakes.

use std::{
    cell::RefCell, collections::HashSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration,
};

use actix_web::rt::{task::spawn_blocking, time::sleep};
use customers_api::{
    record::generate_key_line,
    store::{FeedStart, Store, Webhook},
};
use futures_util::future::{join, join_all};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    hook::{Hook, Reply},
    place::held,
};
use crate::{
    postgres_cluster::Cluster,
    support::{Client, Database, Dice, Engine, Service, command, eventually, mia},
};

/// Processes that serve the same database and send its webhooks.
pub(super) struct Fleet {
    pub(super) database: Database,
    pub(super) store: Store,
    pub(super) folder: TempDir,
    services: Vec<RefCell<Option<Service>>>,
    addresses: Vec<RefCell<String>>,
    /// What is in the environment of each service.
    variables: Vec<(&'static str, String)>,
    client: Client,
}

impl Fleet {
    pub(super) async fn start(database: Database, replicas: usize) -> Self {
        Self::start_with(database, replicas, Vec::new()).await
    }

    /// With environment variables.
    pub(super) async fn start_with(
        database: Database,
        replicas: usize,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("seal-keys");
        fs::write(&keys, &*generate_key_line("k1")).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
        Self::with_keys(folder, database, replicas, variables).await
    }

    /// With the seal keys of this folder.
    async fn with_keys(
        folder: TempDir,
        database: Database,
        replicas: usize,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let store = database.open().await;
        let fleet = Self {
            database,
            store,
            folder,
            services: (0..replicas).map(|_| RefCell::default()).collect(),
            addresses: (0..replicas).map(|_| RefCell::default()).collect(),
            variables,
            client: Client::new(),
        };
        for number in 0..replicas {
            fleet.restart(number).await;
        }
        fleet
    }

    pub(super) fn keys(&self) -> String {
        self.folder.path().join("seal-keys").to_str().unwrap().to_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Kills a process as `kill -9` does, and starts it again.
    pub(super) async fn restart(&self, number: usize) {
        let killed = self.services[number].take();
        let (url, log, keys) = (self.database.url.clone(), self.log(), self.keys());
        let variables = self.variables.clone();
        let restart = move || {
            drop(killed);
            let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let arguments = ["--sandbox", "--seal-keys", &keys, "--webhook-allow", "127.0.0.1"];
            let arguments = [&arguments[..], &["--database-wait", "30"]].concat();
            Service::start_with(&url, &log, &arguments, &variables)
        };
        let service = spawn_blocking(restart).await.unwrap();
        self.addresses[number].replace(service.address.clone());
        self.services[number].replace(Some(service));
    }

    pub(super) fn kill(&self, number: usize) {
        drop(self.services[number].take());
    }

    fn signal(&self, number: usize, signal: &str) {
        self.services[number].borrow().as_ref().unwrap().signal(signal);
    }

    /// Runs a command to its end: the exit code, standard output and standard error.
    pub(super) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = command().args(arguments).args(["--database-url", &self.database.url]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Adds an endpoint of the sandbox's account; returns its id and secret.
    pub(super) fn add(&self, hook: &Hook) -> (String, String) {
        self.add_at(&hook.url)
    }

    pub(super) fn add_at(&self, url: &str) -> (String, String) {
        let keys = self.keys();
        let add = ["webhooks", "add", "--account", "sandbox", "--url", url, "--seal-keys", &keys];
        let (code, said, why) = self.run(&[&add[..], &["--webhook-allow", "127.0.0.1"]].concat());
        assert_eq!(code, 0, "{why}");
        let (id, secret) = said.trim_end().split_once(' ').unwrap();
        (id.to_owned(), secret.to_owned())
    }

    /// Puts a customer at one process after the other until it is acknowledged.
    pub(super) async fn put(&self, id: &str) {
        for turn in 0.. {
            let number = turn % self.addresses.len();
            let url = format!("http://{}/customers/{id}", self.addresses[number].borrow());
            let answer = self.client.request("PUT", url).json(mia().to_string()).try_send().await;
            match answer {
                Some(answer) if answer.status.is_success() => return,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn change(&self, customers: usize, changes: usize) {
        join_all((0..customers).map(async |customer| {
            for _ in 0..changes {
                self.put(&format!("c-{customer}")).await;
                sleep(Duration::from_millis(50)).await;
            }
        }))
        .await;
    }

    pub(super) async fn webhook(&self) -> Webhook {
        loop {
            // The database may be away.
            if let Some(webhook) = self.store.webhooks().await.ok().and_then(|mut all| all.pop()) {
                return webhook;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// All events, when the endpoint has acknowledged them.
    pub(super) async fn settled(&self, id: &str) -> Vec<Value> {
        self.store.number_events().await.unwrap();
        let newest = self.store.events(&"sandbox".parse().unwrap(), None, FeedStart::Newest, 1).await;
        let newest = newest.unwrap().unwrap().next;
        eventually("everything is acknowledged", async || {
            let webhook = self.webhook().await;
            assert_eq!(webhook.id, id);
            webhook.progress.cursor == newest && held(&self.store, &webhook).await.is_empty()
        })
        .await;
        let (code, said, why) = self.run(&["events", "--account", "sandbox"]);
        assert_eq!(code, 0, "{why}");
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Fails now and then, for each customer once, because the second failure of an event is tried again after half a minute only.
/// Takes a moment for the others.
async fn moody() -> Hook {
    let (mut dice, mut failed) = (Dice::new(3), HashSet::new());
    Hook::deciding(move |delivery| match dice.roll(40) {
        0 if failed.insert(delivery.customer().to_owned()) => Reply::Status(500),
        1 if failed.insert(delivery.customer().to_owned()) => Reply::Close,
        _ => Reply::Late(Duration::from_millis(5), 204),
    })
    .await
}

/// Changes come while `break_parts` breaks something; then all is as it should be.
async fn prove(fleet: &Fleet, break_parts: impl AsyncFn()) {
    let hook = moody().await;
    let (id, _) = fleet.add(&hook);
    join(fleet.change(8, 30), break_parts()).await;
    let feed = fleet.settled(&id).await;
    let doubles = hook.assert_complete_and_in_order(&feed);
    println!("{} events, {} deliveries, {doubles} again, 0 lost", feed.len(), hook.deliveries().len());
}

#[actix_web::test]
async fn nothing_is_lost_on_sqlite_while_the_process_is_killed() {
    let fleet = Fleet::start(Engine::Sqlite.database().await, 1).await;
    let kill = async || {
        for _ in 0..3 {
            sleep(Duration::from_millis(700)).await;
            fleet.kill(0);
            // As if it had ended: the test need not wait for that.
            fleet.database.execute("UPDATE webhooks SET lease_ends_at = 0").await;
            fleet.restart(0).await;
        }
    };
    prove(&fleet, kill).await;
}

#[actix_web::test]
async fn another_replica_goes_on_when_the_one_that_sends_is_killed() {
    let fleet = Fleet::start(Engine::Postgres.database().await, 2).await;
    let kill = async || {
        let holder = fleet.webhook().await.holder;
        // Which of them it is, only it knows: the first one is killed, then the second.
        for number in 0..2 {
            sleep(Duration::from_millis(500)).await;
            fleet.kill(number);
            fleet.restart(number).await;
        }
        eventually("somebody else sends", async || {
            let now = fleet.webhook().await.holder;
            now.is_some() && now != holder
        })
        .await;
    };
    prove(&fleet, kill).await;
}

#[actix_web::test]
async fn a_process_that_was_frozen_and_wakes_breaks_no_order() {
    let fleet = Fleet::start(Engine::Postgres.database().await, 1).await;
    let freeze = async || {
        eventually("the first one sends", async || fleet.webhook().await.holder.is_some()).await;
        let holder = fleet.webhook().await.holder;
        sleep(Duration::from_millis(300)).await;
        fleet.signal(0, "-STOP");
        let other = second(&fleet).await;
        eventually("the other one sends", async || {
            let now = fleet.webhook().await.holder;
            now.is_some() && now != holder
        })
        .await;
        fleet.signal(0, "-CONT");
        sleep(Duration::from_secs(2)).await;
        drop(other);
    };
    let hook = moody().await;
    let (id, _) = fleet.add(&hook);
    let writes = async {
        for number in 0..20 {
            fleet.put(&format!("c-{}", number % 4)).await;
        }
    };
    join(writes, freeze()).await;
    let feed = fleet.settled(&id).await;
    let doubles = hook.assert_complete_and_in_order(&feed);
    println!("{} events, {doubles} again, 0 lost", feed.len());
}

/// Another process over the same database.
async fn second(fleet: &Fleet) -> Service {
    let (url, log, keys) = (fleet.database.url.clone(), fleet.log(), fleet.keys());
    let start = move || {
        Service::start(&url, &log, &["--sandbox", "--seal-keys", &keys, "--webhook-allow", "127.0.0.1"])
    };
    spawn_blocking(start).await.unwrap()
}

#[actix_web::test]
async fn nothing_is_lost_while_the_database_is_away() {
    let cluster = Cluster::start("");
    let fleet = Fleet::start(Database::at(cluster.url("postgres")), 1).await;
    let cluster = RefCell::new(Some(cluster));
    let take_away = async || {
        sleep(Duration::from_millis(500)).await;
        let mut taken = cluster.take().unwrap();
        let restarted = spawn_blocking(move || {
            taken.kill();
            std::thread::sleep(Duration::from_secs(2));
            taken.restart();
            taken
        });
        cluster.replace(Some(restarted.await.unwrap()));
    };
    prove(&fleet, take_away).await;
}

#[actix_web::test]
async fn after_an_older_backup_is_restored_events_come_again_and_nothing_else() {
    let fleet = Fleet::start(Engine::Sqlite.database().await, 1).await;
    let hook = Hook::start().await;
    let (id, _) = fleet.add(&hook);
    fleet.change(2, 3).await;
    fleet.settled(&id).await;
    let backup = fleet.folder.path().join("backup.db");
    let (code, _, why) = fleet.run(&["backup", backup.to_str().unwrap()]);
    assert_eq!(code, 0, "{why}");
    fleet.change(2, 2).await;
    fleet.settled(&id).await;
    let before = hook.deliveries();
    let Fleet { folder, .. } = fleet;
    let restored = Database::at(format!("sqlite:{}", backup.display()));
    let restored = Fleet::with_keys(folder, restored, 1, Vec::new()).await;
    restored.put("c-9").await;
    let feed = restored.settled(&id).await;
    let after: Vec<_> = hook.deliveries().split_off(before.len());
    let known: Vec<&str> = feed.iter().map(|event| event["EventID"].as_str().unwrap()).collect();
    assert!(after.iter().all(|delivery| known.contains(&delivery.id.as_str())), "events of the feed alone");
    assert_eq!(after.last().unwrap().customer(), "c-9");
}
