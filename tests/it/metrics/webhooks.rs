//! What is told of webhooks: tries, how late they are, and which of them get no more.

use super::Place;
use crate::support::{Engine, command, eventually, mia, statuses};

/// A service whose webhooks may go to loopback, and a file of seal keys.
async fn sending() -> (Place, tempfile::TempDir, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("seal-keys");
    std::fs::write(&keys, &*customers_api::record::generate_key_line("k1")).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keys = keys.to_str().unwrap().to_owned();
    let place = Place::start(Engine::Sqlite, &["--seal-keys", &keys, "--webhook-allow", "127.0.0.1"]).await;
    (place, folder, keys)
}

/// Runs `customers-api webhooks` on the database of a place. Returns what it printed.
fn webhooks(place: &Place, words: &[&str]) -> String {
    let mut command = command();
    command.arg("webhooks").args(words).args(["--database-url", &place.database.url]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Adds an endpoint of the account `acme`, and returns its id.
fn add(place: &Place, keys: &str, url: &str) -> String {
    let words =
        ["add", "--account", "acme", "--seal-keys", keys, "--webhook-allow", "127.0.0.1", "--url", url];
    webhooks(place, &words).split(' ').next().unwrap().to_owned()
}

const DELIVERED: &str = "customers_webhook_deliveries_total{result=\"delivered\"}";
const FAILED: &str = "customers_webhook_deliveries_total{result=\"failed\"}";
const OLDEST: &str = "customers_webhook_oldest_seconds";
const PAUSED: &str = "customers_webhooks_paused";

#[actix_web::test]
async fn each_try_is_counted_and_what_waits_is_as_old_as_its_event() {
    let (place, _folder, keys) = sending().await;
    let receiver = statuses();
    add(&place, &keys, &format!("{receiver}/204"));
    let failing = add(&place, &keys, &format!("{receiver}/500"));
    for name in [DELIVERED, FAILED, OLDEST, PAUSED] {
        assert_eq!(place.scrape().await.count(name), 0, "{name} is there from the beginning");
    }
    assert_eq!(place.signed("PUT", "/customers/c-1", &[], &mia().to_string()).await, 201);
    eventually("one is delivered and one fails", async || {
        let scrape = place.scrape().await;
        scrape.count(DELIVERED) == 1 && scrape.count(FAILED) >= 1
    })
    .await;
    eventually("the event gets older", async || place.scrape().await.value(OLDEST) > 1.0).await;
    assert_eq!(place.scrape().await.count(PAUSED), 0);

    webhooks(&place, &["pause", &failing]);
    eventually("what an operator paused is not late", async || place.scrape().await.value(OLDEST) == 0.0)
        .await;
    webhooks(&place, &["resume", &failing]);
    eventually("then it is", async || place.scrape().await.value(OLDEST) > 1.0).await;
    webhooks(&place, &["remove", &failing]);
    eventually("what was removed is not late", async || place.scrape().await.value(OLDEST) == 0.0).await;
    assert_eq!(place.scrape().await.count(PAUSED), 0, "nobody need look");
}

#[actix_web::test]
async fn endpoints_that_nobody_paused_and_that_get_nothing_are_counted() {
    let (place, _folder, keys) = sending().await;
    let receiver = statuses();
    let refusing = add(&place, &keys, &format!("{receiver}/410"));
    let late = add(&place, &keys, &format!("{receiver}/204"));
    assert_eq!(place.signed("PUT", "/customers/c-1", &[], &mia().to_string()).await, 201);
    eventually("one answers 410", async || place.scrape().await.count(PAUSED) == 1).await;
    place.database.execute(&format!("UPDATE webhooks SET state = 'gone' WHERE webhook_id = '{late}'")).await;
    eventually("events of the other are not kept any more", async || place.scrape().await.count(PAUSED) == 2)
        .await;
    webhooks(&place, &["remove", &refusing]);
    webhooks(&place, &["replay", &late, "--from", "1"]);
    eventually("one is removed, and one goes on", async || place.scrape().await.count(PAUSED) == 0).await;
}
