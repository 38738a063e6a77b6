//! The promise as a whole: who follows has an exact copy at the end, whatever is killed meanwhile.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
};

use actix_web::rt::{task::spawn_blocking, time::sleep};
use customers_api::signature::Algorithm;
use futures_util::future::{join, join_all};
use serde_json::Value;

use super::{members, page, run};
use crate::{
    postgres_cluster::Cluster,
    support::{Answer, Client, Database, Dice, Engine, Service, Signer, mia, register, token_for},
};

/// How many clients write, each its own customers, and how often.
const WRITERS: usize = 4;
const WRITES: usize = 60;

/// Processes that serve the same customers, and a client of them.
struct Place {
    url: String,
    signer: Signer,
    replicas: Vec<RefCell<Option<Service>>>,
    addresses: Vec<RefCell<String>>,
    client: Client,
    log: PathBuf,
    turn: Cell<usize>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn start(database: &Database, replicas: usize) -> Self {
        let signer = register(&database.open().await, "acme", Algorithm::Es256, "acme-1").await;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let services: Vec<_> = (0..replicas).map(|_| Service::start(&database.url, &log, &[])).collect();
        Self {
            url: database.url.clone(),
            signer,
            addresses: services.iter().map(|service| RefCell::new(service.address.clone())).collect(),
            replicas: services.into_iter().map(|service| RefCell::new(Some(service))).collect(),
            client: Client::new(),
            log,
            turn: Cell::new(0),
            _folder: folder,
        }
    }

    /// Kills a replica as `kill -9` does, and starts it again.
    async fn kill_and_restart(&self, number: usize) {
        let killed = self.replicas[number].take();
        let (url, log) = (self.url.clone(), self.log.clone());
        let restart = move || {
            drop(killed);
            Service::start(&url, &log, &["--database-wait", "30"])
        };
        let service = spawn_blocking(restart).await.unwrap();
        self.addresses[number].replace(service.address.clone());
        self.replicas[number].replace(Some(service));
    }

    /// Sends a request to one replica after the other until it is answered.
    async fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        let token = token_for(&self.signer, method, target, body.as_bytes());
        loop {
            let number = self.turn.replace(self.turn.get() + 1) % self.addresses.len();
            let url = format!("http://{}{target}", self.addresses[number].borrow());
            let request = self.client.request(method, url).header("Api-Signature", &token);
            let request = if body.is_empty() { request } else { request.json(body.to_owned()) };
            match request.try_send().await {
                Some(answer) if answer.status.as_u16() != 503 => return answer,
                _ => sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    }
}

/// What became of a customer, as its writer was told: the versions, and `None` for a delete.
type History = Vec<Option<String>>;

/// Writes customers that nobody else writes.
async fn write(place: &Place, writer: usize) -> BTreeMap<String, History> {
    let mut dice = Dice::new(writer as u64);
    let mut histories: BTreeMap<String, History> = BTreeMap::new();
    for _ in 0..WRITES {
        let id = format!("c-{writer}-{}", dice.pick(5));
        let history = histories.entry(id.clone()).or_default();
        let target = format!("/customers/{id}");
        if dice.roll(4) == 0 {
            let is_there = history.last().is_some_and(Option::is_some);
            let answer = place.ask("DELETE", &target, "").await.expect(if is_there { 204 } else { 404 });
            history.extend((answer.status == 204).then_some(None));
        } else {
            let answer = place.ask("PUT", &target, &mia().to_string()).await;
            assert!(answer.status == 201 || answer.status == 204, "{}", answer.status);
            history.push(Some(super::tag(&answer)));
        }
    }
    histories
}

/// A copy of all customers, made from the feed and single reads alone.
#[derive(Default)]
struct Copy {
    events: Vec<Value>,
    customers: BTreeMap<String, Value>,
}

/// Follows until the writers are done and no event is left.
async fn follow(place: &Place, are_done: &Cell<bool>) -> Copy {
    let (mut copy, mut token, mut dice) = (Copy::default(), String::new(), Dice::new(99));
    loop {
        let was_last = are_done.get();
        let size = 1 + dice.pick(30);
        let start = if token.is_empty() { String::new() } else { format!("&PageToken={token}") };
        // Numbering may take as long as a killed replica does to be noticed.
        let wait = if was_last { 5 } else { 1 };
        let answer = place.ask("GET", &format!("/events?PageSize={size}&Wait={wait}{start}"), "").await;
        let (events, next) = page(&answer.expect(200));
        token = next;
        if events.is_empty() && was_last {
            return copy;
        }
        for id in members(&events, "CustomerID") {
            let read = place.ask("GET", &format!("/customers/{id}"), "").await;
            match read.status.as_u16() {
                200 => drop(copy.customers.insert(id.to_owned(), read.json())),
                404 => drop(copy.customers.remove(id)),
                other => panic!("{other}"),
            }
        }
        copy.events.extend(events);
    }
}

/// Clients write, one follows, and `break_parts` breaks something meanwhile.
async fn prove(place: &Place, break_parts: impl AsyncFn()) {
    let are_done = Cell::new(false);
    let writes = async {
        let (histories, ()) =
            join(join_all((0..WRITERS).map(|writer| write(place, writer))), break_parts()).await;
        are_done.set(true);
        histories
    };
    let (histories, copy) = join(writes, follow(place, &are_done)).await;
    let histories: BTreeMap<String, History> = histories.into_iter().flatten().collect();

    let listed = place.ask("GET", "/customers?PageSize=100", "").await.expect(200).json();
    let listed = listed["Items"].as_array().unwrap().iter();
    let listed: BTreeMap<_, _> =
        listed.map(|item| (item["CustomerID"].as_str().unwrap().to_owned(), item.clone())).collect();
    assert_eq!(copy.customers, listed, "the copy is the table");

    let changes: usize = histories.values().map(Vec::len).sum();
    assert_eq!(
        copy.events.len(),
        changes,
        "each change that was acknowledged has its event, and there is no other"
    );
    for (id, history) in &histories {
        let (mut told, mut version) = (History::new(), "-");
        for event in copy.events.iter().filter(|event| event["CustomerID"] == id.as_str()) {
            assert_eq!(event["Previous"].as_str().unwrap_or("-"), version, "{id}: a chain without a gap");
            version = event["Version"].as_str().unwrap_or("-");
            told.push(event["Version"].as_str().map(str::to_owned));
        }
        assert_eq!(told, *history, "{id}: what its writer was told, in this order");
    }

    let (mut again, mut token) = (Vec::new(), String::new());
    loop {
        let answer = place.ask("GET", &format!("/events?PageSize=100{token}"), "").await.expect(200);
        let (events, next) = page(&answer);
        if events.is_empty() {
            break;
        }
        again.extend(events);
        token = format!("&PageToken={next}");
    }
    assert_eq!(again, copy.events, "who reads again reads the same");
    let (code, said, why) = run(&Database::at(place.url.clone()), &["verify"]);
    assert_eq!(code, 0, "{said}{why}");
}

#[actix_web::test]
async fn a_follower_has_an_exact_copy_on_sqlite_while_the_process_is_killed() {
    let database = Engine::Sqlite.database().await;
    let place = Place::start(&database, 1).await;
    let kill = async || {
        for _ in 0..4 {
            sleep(std::time::Duration::from_millis(200)).await;
            place.kill_and_restart(0).await;
        }
    };
    prove(&place, kill).await;
}

#[actix_web::test]
async fn a_follower_has_an_exact_copy_on_postgres_while_replicas_are_killed() {
    let database = Engine::Postgres.database().await;
    let place = Place::start(&database, 2).await;
    let kill = async || {
        for number in 0..6 {
            sleep(std::time::Duration::from_millis(200)).await;
            place.kill_and_restart(number % 2).await;
        }
    };
    prove(&place, kill).await;
}

#[actix_web::test]
async fn a_follower_has_an_exact_copy_on_postgres_while_the_server_is_killed() {
    let cluster = Cluster::start("");
    let database = Database::at(cluster.url("postgres"));
    let place = Place::start(&database, 2).await;
    let cluster = RefCell::new(Some(cluster));
    let kill = async || {
        for _ in 0..2 {
            sleep(std::time::Duration::from_millis(300)).await;
            let mut taken = cluster.take().unwrap();
            let restarted = spawn_blocking(move || {
                taken.kill();
                taken.restart();
                taken
            });
            cluster.replace(Some(restarted.await.unwrap()));
        }
    };
    prove(&place, kill).await;
}
