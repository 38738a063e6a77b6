//! What a process sends as it runs for operators: with its environment, and with the time that a receiver really has.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_web::rt;
use tokio::net::TcpListener;

use super::{
    hook::{Hook, Reply},
    https::Place,
    place::held,
    processes::Fleet,
};
use crate::support::{Engine, eventually};

const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

#[actix_web::test]
async fn the_authorities_that_ssl_cert_file_names_are_trusted() {
    let (place, other) = (Place::new(), Place::new());
    let receiver = place.receiver("IP:127.0.0.1").await;
    for (certificates, failure) in [(other.certificate(), Some("tls")), (place.certificate(), None)] {
        let variables = vec![("SSL_CERT_FILE", certificates)];
        let fleet = Fleet::start_with(Engine::Sqlite.database().await, 1, variables).await;
        fleet.add_at(&format!("https://{}/hook", receiver.address));
        fleet.put("c-1").await;
        eventually("a try is noted", async || fleet.webhook().await.progress.cursor.position == 1).await;
        assert_eq!(fleet.webhook().await.progress.last_failure.as_deref(), failure);
        assert_eq!(receiver.requests().len(), usize::from(failure.is_none()));
    }
}

#[actix_web::test]
async fn variables_for_proxies_are_ignored() {
    let (place, hook) = (Place::new(), Hook::start().await);
    let receiver = place.receiver("IP:127.0.0.1").await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let is_asked = Rc::new(Cell::new(false));
    let asked = Rc::clone(&is_asked);
    rt::spawn(async move {
        while proxy.accept().await.is_ok() {
            asked.set(true);
        }
    });
    let mut variables = vec![("SSL_CERT_FILE", place.certificate()), ("NO_PROXY", String::new())];
    variables.extend(PROXY_VARIABLES.map(|name| (name, address.clone())));
    let fleet = Fleet::start_with(Engine::Sqlite.database().await, 1, variables).await;
    fleet.add(&hook);
    fleet.add_at(&format!("https://{}/hook", receiver.address));
    fleet.put("c-1").await;
    eventually("both get it", async || (hook.acknowledged(), receiver.requests().len()) == (1, 1)).await;
    assert!(!is_asked.get());
}

#[actix_web::test]
async fn a_receiver_has_15_seconds_for_its_answer() {
    let hook = Hook::deciding(|delivery| {
        Reply::Late(Duration::from_secs(if delivery.customer() == "c-late" { 16 } else { 14 }), 200)
    })
    .await;
    let fleet = Fleet::start(Engine::Sqlite.database().await, 1).await;
    fleet.add(&hook);
    fleet.put("c-early").await;
    fleet.put("c-late").await;
    eventually("both tries are noted", async || fleet.webhook().await.progress.cursor.position == 2).await;
    let webhook = fleet.webhook().await;
    assert_eq!(webhook.progress.last_failure.as_deref(), Some("timeout"));
    let held = held(&fleet.store, &webhook).await;
    let held: Vec<_> = held.iter().map(|held| held.customer_id.as_str()).collect();
    assert_eq!((held.as_slice(), hook.acknowledged()), (&["c-late"][..], 1));
}
