//! The load of `scripts/cluster`: signed requests to several replicas, whatever happens to them and to the database.
//!
//! It prints `running` once each replica writes, and goes on until its standard input ends. Then it looks up everything
//! that was acknowledged, checks each customer's history, and prints what it found as JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the load fails by a panic")]
#![allow(clippy::print_stdout, reason = "it prints what it found")]

#[path = "../../tests/it/linearizable/calls.rs"]
mod calls;
#[path = "../../tests/it/linearizable/checker.rs"]
#[allow(dead_code, reason = "its tests run with the integration tests")]
mod checker;
mod follower;
mod freshness;
mod histories;
mod ledger;
mod load;
mod lookup;
mod options;
mod replica;
mod summary;
mod support;

use std::{io::Read as _, rc::Rc, time::Instant};

use actix_web::rt::{self, task::spawn_blocking};
use clap::Parser as _;
use futures_util::future::join_all;

use self::{
    follower::Follower, freshness::Freshness, histories::Histories, ledger::Ledger, load::Load,
    options::Options, summary::Summary,
};

fn main() {
    if std::env::args().eq([std::env::args().next().unwrap_or_default(), "--bench".to_owned()]) {
        println!("the load of scripts/cluster, which starts it");
        return;
    }
    let options = Options::parse();
    println!("{}", rt::System::new().block_on(run(&options)));
}

async fn run(options: &Options) -> serde_json::Value {
    let load = Rc::new(Load::new(options));
    join_all(load.replicas.iter().map(|replica| load.until_it_writes(replica))).await;
    let started = Instant::now();
    println!("running");
    let (histories, ledger, freshness) =
        (Rc::new(Histories::new(options)), Rc::new(Ledger::default()), Rc::new(Freshness::new(options)));
    let follower = Rc::new(Follower::new(options));
    let clients = [
        histories::start(&load, &histories, options),
        ledger::start(&load, &ledger, options),
        freshness::start(&load, &freshness, options),
    ];
    if options.begin_anew {
        spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
        follower.begin_anew(&load).await;
    }
    let following = follower::start(&load, &follower);
    spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    let ended = Instant::now();
    load.stop();
    join_all(clients.into_iter().flatten().chain(following)).await;
    join_all(load.replicas.iter().map(|replica| load.until_it_writes(replica))).await;
    let lost = ledger.lost(&load).await;
    histories.look_up(&load).await;
    let differences = follower.differences(&load).await;
    let (histories, freshness, follower) = (&histories, &freshness, &follower);
    Summary { load: &load, histories, freshness, follower, differences, lost, started, ended }.json()
}
