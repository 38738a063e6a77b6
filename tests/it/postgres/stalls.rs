//! A server that stops to answer in the middle of something.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::rt::{spawn, time::timeout};
use customers_api::{
    model::SortDirection,
    store::{Condition, StoreError},
};
use futures_util::future::{join_all, join3};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::{account, id, open, put};
use crate::postgres_cluster::database;

/// The longest that a caller waits, as README promises.
const LIMIT: Duration = Duration::from_secs(15);

/// Stands between the store and the server. Of what the server sends on each new connection it passes on so many parts.
struct Proxy {
    address: SocketAddr,
    parts: Arc<AtomicUsize>,
    /// Cuts all connections when it changes.
    generation: watch::Sender<usize>,
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, parts) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(usize::MAX)));
        let (generation, cut) = watch::channel(0);
        let budget = Arc::clone(&parts);
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (mut cut, parts) = (cut.clone(), budget.load(Ordering::SeqCst));
                cut.mark_unchanged();
                spawn(async move {
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::select! {
                        _ = cut.changed() => {}
                        () = pass(from_client, to_server, usize::MAX) => {}
                        () = pass(from_server, to_client, parts) => {}
                    }
                });
            }
        });
        Self { address, parts, generation }
    }

    /// Cuts every connection, and lets new ones get no further than this.
    fn stall_after(&self, parts: usize) {
        self.parts.store(parts, Ordering::SeqCst);
        self.generation.send_modify(|generation| *generation += 1);
    }
}

/// Passes on so many parts, and then holds the connection open and passes on nothing.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, parts: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0;
    while passed < parts {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        passed += 1;
    }
    std::future::pending::<()>().await;
}

#[actix_web::test]
async fn wherever_a_server_stops_to_answer_every_caller_is_answered_in_time() {
    let stalls = [0, 1, 2, 3, 4, 6, 9, 13].map(async |parts| {
        let url = database().await;
        let (place, name) = url.split_once('@').unwrap().1.split_once('/').unwrap();
        let proxy = Proxy::start(place.to_owned()).await;
        let store = open(&format!("postgres://postgres@{}/{name}", proxy.address)).await;
        put(&store, "c-1", Condition::Always).await.unwrap();
        store.get(&account(), &id("c-1")).await.unwrap().unwrap();

        proxy.stall_after(parts);
        let answers = join3(
            join_all((0..8).map(async |number| put(&store, &format!("c-{number}"), Condition::Always).await)),
            join_all((0..8).map(async |_| store.get(&account(), &id("c-1")).await)),
            join_all((0..8).map(async |_| store.list(&account(), SortDirection::Asc, None, 5).await)),
        );
        let (puts, gets, lists) = timeout(LIMIT, answers).await.unwrap_or_else(|_| {
            panic!("after {parts} parts of an answer somebody waits longer than {LIMIT:?}");
        });
        let outcomes = puts
            .into_iter()
            .map(|put| put.map(drop))
            .chain(gets.into_iter().map(|get| get.map(drop)))
            .chain(lists.into_iter().map(|list| list.map(drop)));
        for outcome in outcomes {
            assert!(
                matches!(outcome, Ok(()) | Err(StoreError::Unavailable(_) | StoreError::Busy)),
                "{parts}: {outcome:?}"
            );
        }

        proxy.stall_after(usize::MAX);
        let recovered =
            timeout(LIMIT, async { while put(&store, "c-9", Condition::Always).await.is_err() {} });
        assert!(recovered.await.is_ok(), "after {parts} parts: it recovers by itself");
    });
    join_all(stalls).await;
}
