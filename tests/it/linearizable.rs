//! Whatever clients do at once, each customer behaves as if one operation happened after the other, each at some time
//! between its request and its answer. This holds over replicas, whatever is killed meanwhile, and however often a signed
//! request is sent again: at once and late, to this replica and to another one.

mod calls;
mod checker;
mod history;
mod replica;

use std::cell::RefCell;

use actix_web::rt::task::spawn_blocking;
use customers_api::signature::Algorithm;

use self::{
    history::Histories,
    replica::{Process, Replica},
};
use crate::{
    postgres_cluster::Cluster,
    support::{Database, Engine, on_each_engine, register},
};

async fn nothing() {}

/// What stands between the clients and the database: on SQLite one store, on Postgres two.
async fn stores(engine: Engine, database: &Database) -> Vec<Replica> {
    let mut stores = vec![Replica::Store(database.open().await)];
    if engine == Engine::Postgres {
        stores.push(Replica::Store(database.open().await));
    }
    stores
}

async fn customers_are_linearizable(engine: Engine) {
    const ROUNDS: usize = 25;
    let database = engine.database().await;
    let (stores, histories) = (stores(engine, &database).await, Histories::default());
    for _ in 0..ROUNDS {
        histories.round(1, &stores, nothing).await;
    }
    assert_eq!(histories.unknown(), 0, "without a fault every outcome is known");
}

on_each_engine! {
    customers_are_linearizable,
}

/// Histories of clients whose key is registered.
async fn signed(database: &Database) -> Histories {
    let store = database.open().await;
    Histories::signed_by(register(&store, "acme", Algorithm::Es256, "acme-1").await)
}

/// Two processes over a database.
fn two_processes(database_url: &str, directory: &tempfile::TempDir) -> Vec<Replica> {
    let log = |name| directory.path().join(name);
    ["log-1", "log-2"].map(|name| Replica::Process(Process::start(database_url, &log(name)))).into()
}

async fn kill_and_restart(replica: &Replica) {
    match replica {
        Replica::Process(process) => process.kill_and_restart().await,
        Replica::Store(_) => panic!("a store is no process"),
    }
}

#[actix_web::test]
async fn customers_on_sqlite_are_linearizable_while_the_process_is_killed() {
    const ROUNDS: usize = 5;
    let (database, directory) = (Engine::Sqlite.database().await, tempfile::tempdir().unwrap());
    let histories = signed(&database).await;
    let replicas = [Replica::Process(Process::start(&database.url, &directory.path().join("log")))];
    for _ in 0..ROUNDS {
        histories.round(2, &replicas, async || kill_and_restart(&replicas[0]).await).await;
    }
    assert!(histories.unknown() > 0, "requests were under way");
}

#[actix_web::test]
async fn customers_on_postgres_are_linearizable_while_replicas_are_killed() {
    const ROUNDS: usize = 5;
    let (database, directory) = (Engine::Postgres.database().await, tempfile::tempdir().unwrap());
    let histories = signed(&database).await;
    let replicas = two_processes(&database.url, &directory);
    for round in 0..ROUNDS {
        histories.round(3, &replicas, async || kill_and_restart(&replicas[round % 2]).await).await;
    }
    assert!(histories.unknown() > 0, "requests were under way");
}

/// Does something slow to a cluster while the clients go on.
async fn act(cluster: &RefCell<Option<Cluster>>, act: fn(&mut Cluster)) {
    let mut taken = cluster.take().unwrap();
    let acted = spawn_blocking(move || {
        act(&mut taken);
        taken
    });
    cluster.replace(Some(acted.await.unwrap()));
}

#[actix_web::test]
async fn customers_on_postgres_are_linearizable_while_the_server_is_killed() {
    const ROUNDS: usize = 3;
    let (cluster, directory) = (Cluster::start(""), tempfile::tempdir().unwrap());
    let histories = signed(&Database::at(cluster.url("postgres"))).await;
    let replicas = two_processes(&cluster.url("postgres"), &directory);
    let cluster = RefCell::new(Some(cluster));
    for _ in 0..ROUNDS {
        let kill_and_restart = async || {
            act(&cluster, Cluster::kill).await;
            act(&cluster, Cluster::restart).await;
        };
        histories.round(4, &replicas, kill_and_restart).await;
    }
    assert!(histories.unknown() > 0, "requests were under way");
}

#[actix_web::test]
async fn customers_on_postgres_are_linearizable_while_the_server_hangs() {
    let (cluster, directory) = (Cluster::start(""), tempfile::tempdir().unwrap());
    let histories = signed(&Database::at(cluster.url("postgres"))).await;
    let replicas = two_processes(&cluster.url("postgres"), &directory);
    let cluster = RefCell::new(Some(cluster));
    for _ in 0..3 {
        let hang_for_an_instant = async || {
            act(&cluster, Cluster::hang).await;
            act(&cluster, Cluster::wake).await;
        };
        histories.round(5, &replicas, hang_for_an_instant).await;
    }
    let unknown = histories.unknown();
    let hang_until_somebody_gives_up = async || {
        act(&cluster, Cluster::hang).await;
        histories.until_more_are_unknown().await;
        act(&cluster, Cluster::wake).await;
    };
    histories.round(6, &replicas, hang_until_somebody_gives_up).await;
    assert!(histories.unknown() > unknown, "requests were under way");
}
