//! Followers that wait for the next event.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use actix_web::rt::time::{sleep, timeout};
use futures_util::{FutureExt as _, future::join_all};

use super::{list, members, page};
use crate::support::{Engine, Raw, Service, Signer, TestApi, mia, on_each_engine, token_for};

/// Whether nothing comes as long as nothing happens. That is no proof, but a wait that ends at once would show.
async fn still_waits(waiting: impl Future + Unpin) -> bool {
    timeout(Duration::from_millis(300), waiting).await.is_err()
}

async fn whoever_waits_gets_the_next_event_of_its_account_at_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", customers_api::signature::Algorithm::Es256, "other-1").await;
    api.put("c-0", &mia()).send().await.expect(201);
    api.store.number_events().await.unwrap();
    let mut waiting = pin!(list(&api, "?From=Newest&Wait=10"));
    assert!(still_waits(&mut waiting).await);
    api.put("o-1", &mia()).signed_by(&other).send().await.expect(201);
    assert!(still_waits(&mut waiting).await, "another account is none of its business");
    let put = Instant::now();
    api.put("c-1", &mia()).send().await.expect(201);
    let (events, token) = page(&waiting.await.expect(200));
    assert!(put.elapsed() < Duration::from_secs(5), "long before the wait is over");
    assert_eq!(members(&events, "CustomerID"), ["c-1"]);
    let (none, same) = page(&list(&api, &format!("?PageToken={token}&Wait=1")).await.expect(200));
    assert_eq!((none, same), (Vec::new(), token), "after the wait the same token");
}

async fn an_event_of_another_replica_ends_the_wait_too(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.replica().await;
    let mut waiting = pin!(list(&api, "?Wait=10"));
    assert!(still_waits(&mut waiting).await);
    other.put("c-1", &mia()).send().await.expect(201);
    assert_eq!(page(&waiting.await.expect(200)).0.len(), 1);
}

async fn many_followers_wait_at_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let waiting = join_all((0..200).map(|_| list(&api, "?Wait=10")));
    let put = async {
        sleep(Duration::from_millis(500)).await;
        api.put("c-1", &mia()).send().await.expect(201)
    };
    let (answers, _) = futures_util::join!(waiting, put);
    for answer in answers {
        assert_eq!(page(&answer.expect(200)).0.len(), 1);
    }
}

async fn head_does_not_wait(engine: Engine) {
    let api = TestApi::start(engine).await;
    let head = api.request("HEAD", "/events?Wait=10").send();
    let answer = timeout(Duration::from_secs(5), head).await.expect("at once").expect(200);
    assert_ne!(answer.header("content-length"), "0", "it is that of GET");
}

async fn a_store_that_goes_away_ends_the_wait(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut waiting = pin!(list(&api, "?Wait=10"));
    assert!(still_waits(&mut waiting).await);
    api.database.execute("ALTER TABLE feed_heads RENAME TO gone").await;
    let answer = waiting.await;
    assert!([500, 503].contains(&answer.status.as_u16()), "{}", answer.status);
}

on_each_engine! {
    whoever_waits_gets_the_next_event_of_its_account_at_once,
    an_event_of_another_replica_ends_the_wait_too,
    many_followers_wait_at_once,
    head_does_not_wait,
    a_store_that_goes_away_ends_the_wait,
}

#[actix_web::test]
async fn at_a_stop_whoever_waits_is_answered() {
    let (database, folder) = (Engine::Sqlite.database().await, tempfile::tempdir().unwrap());
    let service = Service::start(&database.url, &folder.path().join("log"), &["--sandbox"]);
    let client = crate::support::Client::new();
    let url = format!("http://{}/events?Wait=10", service.address);
    let mut waiting = pin!(client.get(&url).send());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(still_waits(&mut waiting).await);
    let stopped = Instant::now();
    service.signal("-TERM");
    let (events, _) = page(&waiting.await.expect(200));
    assert!(events.is_empty() && stopped.elapsed() < Duration::from_secs(5));
    let ended = actix_web::rt::task::spawn_blocking(move || service.wait().success());
    assert!(ended.await.unwrap(), "it ends");
}

/// A connection that waits for an event of the signer's account.
async fn follower(service: &Service, signer: &Signer) -> Raw {
    let target = "/events?From=Newest&Wait=10";
    let mut connection = Raw::connect(&service.address).await;
    let token = token_for(signer, "GET", target, b"");
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nApi-Signature: {token}\r\n\r\n");
    connection.send(&head).await;
    connection
}

#[actix_web::test]
async fn those_who_wait_for_the_account_with_the_most_of_them_make_room_for_a_new_connection() {
    let api = TestApi::start(Engine::Sqlite).await;
    let other = api.register("other", customers_api::signature::Algorithm::Es256, "other-1").await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--max-connections", "3", "--workers", "1"];
    let service = Service::start(&api.database.url, &folder.path().join("log"), &arguments);
    let mut others = follower(&service, &other).await;
    let mut many = [follower(&service, &api.signer).await, follower(&service, &api.signer).await];
    let mut kept = Box::pin(others.answer());
    let [first, second] = &mut many;
    let mut dismissed = Box::pin(futures_util::future::join(first.answer(), second.answer()));
    assert!(still_waits(&mut kept).await && still_waits(&mut dismissed).await);

    let mut new = Raw::connect(&service.address).await;
    new.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(new.answer().await.status, 204);
    let (first, second) = dismissed.await;
    for answer in [first, second] {
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with("{\"Items\":[],\"PageToken\":"), "{}", answer.body);
    }
    assert!(kept.now_or_never().is_none(), "whoever waits for another account goes on");
}
