//! Connections are used again, and are bounded in number and in time.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use customers_api::webhooks::{Client, ClientSettings as Settings, Network, Target};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join, join_all},
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
};

use super::receiver::{ACCEPTED, Names, Receiver, Reply, allowed, client, patient, send_to};

#[actix_web::test]
async fn a_connection_is_used_again() {
    for reply in [
        &[ACCEPTED],
        &[Reply::Text("HTTP/1.1 204 No Content\r\n\r\n")],
        &[Reply::Text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")],
        &[Reply::Text("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")],
    ] {
        let (receiver, client) = (Receiver::start(reply).await, client());
        for request in 1..=20 {
            let _ = send_to(&client, &receiver.target("/")).await;
            assert_eq!((receiver.requests().len(), receiver.connections()), (request, 1), "{reply:?}");
        }
    }
}

#[actix_web::test]
async fn there_are_no_more_connections_than_requests_at_a_time() {
    const AT_A_TIME: usize = 32;
    let (receiver, client) = (Receiver::start(&[ACCEPTED]).await, client());
    let target = receiver.target("/");
    join_all((0..AT_A_TIME).map(async |_| {
        for _ in 0..10 {
            send_to(&client, &target).await.unwrap();
        }
    }))
    .await;
    assert_eq!(receiver.requests().len(), AT_A_TIME * 10);
    assert!(receiver.connections() <= AT_A_TIME, "{}", receiver.connections());
}

#[actix_web::test]
async fn a_connection_that_the_receiver_closed_meanwhile_is_no_failure() {
    const CLOSES_UNSAID: Reply = Reply::Last("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for (replies, requests, connections) in [
        (&[CLOSES_UNSAID, CLOSES_UNSAID, ACCEPTED][..], 3, 3),
        // It closes only when it has the second request.
        (&[ACCEPTED, Reply::Last(""), ACCEPTED], 4, 2),
        (&[ACCEPTED, Reply::Last("HTTP/1.1 200"), ACCEPTED], 4, 2),
    ] {
        let (receiver, client) = (Receiver::start(replies).await, client());
        for _ in 0..3 {
            send_to(&client, &receiver.target("/")).await.unwrap();
        }
        assert_eq!(
            (receiver.requests().len(), receiver.connections()),
            (requests, connections),
            "{replies:?}"
        );
    }
}

#[actix_web::test]
async fn a_connection_that_says_it_ends_is_not_used_again() {
    for reply in [
        &[Reply::Text("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")],
        &[Reply::Text("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")],
        &[Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")],
    ] {
        let (receiver, client) = (Receiver::start(reply).await, client());
        for requests in 1..=2 {
            send_to(&client, &receiver.target("/")).await.unwrap();
            receiver.ended(requests).await;
        }
        assert_eq!(receiver.connections(), 2, "{reply:?}");
    }
}

#[actix_web::test]
async fn a_connection_that_nobody_uses_is_closed_in_time() {
    let receiver = Receiver::start(&[ACCEPTED]).await;
    // Far longer than a request takes here.
    let head_time_max = Duration::from_secs(3);
    let settings = Settings { head_time_max, connection_time_max: Duration::ZERO, ..patient() };
    let client = Client::with(allowed(&["127.0.0.1"]), settings).unwrap();
    send_to(&client, &receiver.target("/")).await.unwrap();
    receiver.ended(1).await;
    send_to(&client, &receiver.target("/")).await.unwrap();
    assert_eq!(receiver.connections(), 2);
}

#[actix_web::test]
async fn the_oldest_of_too_many_connections_is_closed() {
    const KEPT_MAX: usize = 256;
    let receiver = Receiver::start(&[ACCEPTED]).await;
    let hosts: Vec<_> = (0..KEPT_MAX + 3).map(|number| format!("host-{number}")).collect();
    let allowed = allowed(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
    let network = Names::new(&receiver, &[&["127.0.0.1"]]);
    let client = Client::with(allowed.clone(), Settings { network, ..patient() }).unwrap();
    let targets: Vec<_> =
        hosts.iter().map(|host| Target::parse(&format!("http://{host}/"), &allowed).unwrap()).collect();
    for target in &targets {
        send_to(&client, target).await.unwrap();
    }
    receiver.ended(3).await;
    for target in targets.iter().skip(3) {
        send_to(&client, target).await.unwrap();
    }
    assert_eq!(receiver.connections(), hosts.len(), "the others are used again");
}

/// Answers a look-up when the test lets it.
struct Gate {
    receiver: SocketAddr,
    began: mpsc::UnboundedSender<()>,
    open: Arc<Semaphore>,
}

impl Network for Gate {
    fn look_up(&self, _name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.began.send(()).unwrap();
        let open = Arc::clone(&self.open);
        async move {
            open.acquire().await.unwrap().forget();
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        }
        .boxed()
    }

    fn connect(&self, _address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        TcpStream::connect(self.receiver).boxed()
    }
}

#[actix_web::test]
async fn requests_that_need_a_name_at_the_same_time_share_its_look_up() {
    let receiver = Receiver::start(&[Reply::Last("HTTP/1.1 204 No Content\r\n\r\n")]).await;
    let (began, mut look_ups) = mpsc::unbounded_channel();
    let open = Arc::new(Semaphore::new(0));
    let network = Arc::new(Gate { receiver: receiver.address, began, open: Arc::clone(&open) });
    let hosts = allowed(&["a", "b"]);
    let client = Client::with(hosts.clone(), Settings { network, ..patient() }).unwrap();
    let [a, b] = ["http://a/", "http://b/"].map(|url| Target::parse(url, &hosts).unwrap());
    for _ in 0..2 {
        let requests = join_all([&a, &a, &b, &a, &b].map(|target| send_to(&client, target)));
        let answers = async {
            for _ in 0..2 {
                look_ups.recv().await.unwrap();
            }
            assert!(look_ups.try_recv().is_err(), "a third look-up");
            open.add_permits(2);
        };
        let (sent, ()) = join(requests, answers).await;
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    }
    assert_eq!(receiver.connections(), 10);
}
