//! The database goes away, and comes back.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fs,
    future::Future,
    process::Output,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::rt::{
    spawn,
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};
use customers_api::{
    model::SortDirection,
    store::{Access, Condition, Store, StoreError},
};

use super::{account, ids, open, put};
use crate::{
    postgres_cluster::{Cluster, connect, database},
    support::{Client, Service, command, mia},
};

/// Clients that put new customers, each until it is acknowledged.
struct Load {
    acknowledged: Rc<RefCell<BTreeSet<String>>>,
    refused: Rc<Cell<usize>>,
    is_over: Rc<Cell<bool>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(store: &Store) -> Self {
        const CLIENTS: usize = 32;
        let mut load = Self {
            acknowledged: Rc::default(),
            refused: Rc::default(),
            is_over: Rc::default(),
            clients: Vec::new(),
        };
        load.clients = (0..CLIENTS).map(|client| spawn(load.client(client, store.clone()))).collect();
        load
    }

    fn client(&self, client: usize, store: Store) -> impl Future<Output = ()> + 'static {
        let (acknowledged, refused, is_over) =
            (Rc::clone(&self.acknowledged), Rc::clone(&self.refused), Rc::clone(&self.is_over));
        async move {
            for number in (0..).take_while(|_| !is_over.get()) {
                let customer_id = format!("c-{client}-{number}");
                while let Err(error) = put(&store, &customer_id, Condition::Always).await {
                    assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Busy), "{error:?}");
                    refused.set(refused.get() + 1);
                    sleep(Duration::from_millis(5)).await;
                }
                acknowledged.borrow_mut().insert(customer_id);
            }
        }
    }

    async fn until_more_are_acknowledged(&self) {
        let goal = self.acknowledged.borrow().len() + 500;
        eventually("writes are acknowledged", || self.acknowledged.borrow().len() >= goal).await;
    }

    async fn until_more_are_refused(&self) {
        let goal = self.refused.get() + 1;
        eventually("writes are refused", || self.refused.get() >= goal).await;
    }

    /// Ends the load; exactly the acknowledged customers are there.
    async fn end(self, store: &Store) {
        self.is_over.set(true);
        for client in self.clients {
            client.await.unwrap();
        }
        let found: BTreeSet<String> = ids(store, SortDirection::Asc, 1000).await.into_iter().collect();
        let acknowledged = self.acknowledged.borrow();
        println!(
            "{} acknowledged, {} found, {} refused",
            acknowledged.len(),
            found.len(),
            self.refused.get()
        );
        assert_eq!(found, *acknowledged);
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    const LIMIT: Duration = Duration::from_secs(30);
    let waited = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(LIMIT, waited).await.is_ok(), "in time: {what}");
}

/// Does something slow to a cluster, while the load goes on.
async fn with(mut cluster: Cluster, act: impl FnOnce(&mut Cluster) + Send + 'static) -> Cluster {
    let acted = spawn_blocking(move || {
        act(&mut cluster);
        cluster
    });
    acted.await.unwrap()
}

#[actix_web::test]
async fn no_acknowledged_write_is_lost_when_the_server_is_killed_and_restarted_under_load() {
    let mut cluster = Cluster::start("");
    let store = open(&cluster.url("postgres")).await;
    let load = Load::start(&store);
    for _ in 0..3 {
        load.until_more_are_acknowledged().await;
        cluster = with(cluster, Cluster::kill).await;
        load.until_more_are_refused().await;
        assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
        cluster = with(cluster, Cluster::restart).await;
    }
    load.until_more_are_acknowledged().await;
    store.check().await.unwrap();
    load.end(&store).await;
}

#[actix_web::test]
async fn a_server_that_hangs_holds_up_nothing_for_ever() {
    let mut cluster = Cluster::start("");
    let store = open(&cluster.url("postgres")).await;
    let load = Load::start(&store);
    load.until_more_are_acknowledged().await;
    store.check().await.unwrap();
    cluster.hang();

    let (check, read) =
        futures_util::future::join(store.check(), store.list(&account(), SortDirection::Asc, None, 1)).await;
    assert!(matches!(check, Err(StoreError::Unavailable(_))), "{check:?}");
    assert!(matches!(read, Err(StoreError::Unavailable(_) | StoreError::Busy)), "{read:?}");
    load.until_more_are_refused().await;

    cluster.wake();
    load.until_more_are_acknowledged().await;
    store.check().await.unwrap();
    load.end(&store).await;
}

#[actix_web::test]
async fn connections_that_are_cut_are_made_again() {
    const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'customers-api'";
    let url = database().await;
    let store = open(&url).await;
    let somebody = connect(&url).await;
    let load = Load::start(&store);
    for _ in 0..5 {
        load.until_more_are_acknowledged().await;
        store.list(&account(), SortDirection::Desc, None, 10).await.unwrap();
        somebody.query(CUT, &[]).await.unwrap();
    }
    load.until_more_are_acknowledged().await;
    load.end(&store).await;
}

#[actix_web::test]
async fn a_failover_to_another_host_loses_no_acknowledged_write() {
    let (primary, standby) = Cluster::with_synchronous_standby().await;
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        standby.port(),
        primary.port()
    );
    let store = open(&url).await;
    let load = Load::start(&store);
    load.until_more_are_acknowledged().await;

    let _primary = with(primary, Cluster::kill).await;
    load.until_more_are_refused().await;
    let standby = with(standby, Cluster::promote).await;

    load.until_more_are_acknowledged().await;
    load.end(&store).await;
    assert!(!ids(&open(&standby.url("postgres")).await, SortDirection::Asc, 1000).await.is_empty());
}

#[actix_web::test]
async fn a_primary_that_turns_read_only_is_left_for_another() {
    let url = database().await;
    let name = url.rsplit('/').next().unwrap().to_owned();
    let store = open(&url).await;
    let load = Load::start(&store);
    load.until_more_are_acknowledged().await;

    let turn = |on: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    let somebody = connect(&url).await;
    somebody.batch_execute(&turn("on")).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'customers-api'";
    somebody.query(cut, &[]).await.unwrap();
    load.until_more_are_refused().await;
    somebody.batch_execute(&turn("off")).await.unwrap();

    load.until_more_are_acknowledged().await;
    load.end(&store).await;
}

#[actix_web::test]
async fn requests_get_503_with_retry_after_while_the_server_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start("");
    let service = Service::start(&cluster.url("postgres"), &directory.path().join("log"), &["--sandbox"]);
    let client = Client::new();
    let customers = format!("http://{}/customers", service.address);
    let put = async |customer_id: &str| {
        client.put(format!("{customers}/{customer_id}")).json(mia().to_string()).send().await
    };
    assert_eq!(put("c-1").await.status, 201);
    cluster = with(cluster, Cluster::kill).await;

    for refused in [put("c-2").await, client.get(format!("{customers}/c-1")).send().await] {
        assert_eq!(refused.status, 503);
        assert!(refused.headers.contains_key("retry-after"));
    }

    let _cluster = with(cluster, Cluster::restart).await;
    let start = Instant::now();
    while put("c-2").await.status == 503 {
        assert!(start.elapsed() < Duration::from_secs(5), "it recovers within seconds");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(client.get(format!("{customers}/c-1")).status().await, 200);
}

#[actix_web::test]
async fn what_a_database_that_is_away_holds_up_is_told_once_and_once_when_it_goes_on() {
    const PARTS: [(&str, &str); 5] = [
        ("the signing keys cannot be read", "the signing keys are read again"),
        ("events that are left cannot be looked for", "events that are left are looked for again"),
        ("old events cannot be pruned", "old events are pruned again"),
        ("expired signatures cannot be pruned", "expired signatures are pruned again"),
        ("the database does not commit", "the database commits again"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let (mut cluster, log) = (Cluster::start(""), directory.path().join("log"));
    let arguments = ["--sandbox", "--log", "customers_api=debug"];
    let _service = Service::start(&cluster.url("postgres"), &log, &arguments);
    let lines = |level: &str, text: &str| {
        let log = fs::read_to_string(&log).unwrap();
        log.lines().filter(|line| line.contains(level) && line.contains(text)).count()
    };
    cluster = with(cluster, Cluster::kill).await;
    for (fails, _) in PARTS {
        eventually(fails, || lines("WARN", fails) > 0).await;
        eventually("it is tried again", || lines("DEBUG", fails) > 0).await;
    }
    let _cluster = with(cluster, Cluster::restart).await;
    for (fails, is_over) in PARTS {
        eventually(is_over, || lines("INFO", is_over) > 0).await;
        assert_eq!((lines("WARN", fails), lines("INFO", is_over)), (1, 1), "{fails}");
    }
}

fn migrate(url: &str, wait: &str) -> Output {
    command().args(["migrate", "--database-url", url, "--database-wait", wait]).output().unwrap()
}

#[actix_web::test]
async fn a_database_that_is_not_there_is_waited_for_and_then_given_up() {
    let cluster = with(Cluster::start(""), Cluster::kill).await;
    let url = cluster.url("postgres").replace("postgres@", "postgres:secret@");
    let refused = Store::open(&url.parse().unwrap(), Access::Create).await.err().unwrap();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");

    let given_up = migrate(&url, "0");
    let said = String::from_utf8(given_up.stderr).unwrap();
    assert_eq!(given_up.status.code(), Some(1));
    assert!(
        said.starts_with(&format!("error: cannot open postgres://127.0.0.1:{}/postgres:", cluster.port()))
    );
    assert!(said.contains("Connection refused") && said.lines().count() == 1, "{said}");

    let waiting = spawn_blocking(move || migrate(&url, "60"));
    let _cluster = with(cluster, Cluster::restart).await;
    let waited = waiting.await.unwrap();
    let said = String::from_utf8(waited.stderr).unwrap();
    assert!(waited.status.success(), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn a_url_that_is_refused_is_not_shown() {
    let refused = migrate("postgres://u:hunter2@db.example/customers?foo=bar", "0");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("unknown option `foo`") && !said.contains("hunter2"), "{said}");
}
