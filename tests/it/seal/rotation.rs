//! A seal key is replaced, and something goes wrong on the way.

use std::{fs, process::Stdio};

use customers_api::record::generate_key_line;

use super::service::{Place, counts};
use crate::support::{Engine, command, eventually, mia, on_each_engine};

const KEPT: &str = "the seal keys of before are kept";

async fn a_key_that_the_database_could_not_be_told_of_is_taken_when_it_answers_again(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    let lock = place.database.lock_seal_keys().await;
    let old = place.read_keys();
    place.write_keys(&format!("{}\n{old}", *generate_key_line("k2")));
    eventually("the failure is logged", || async { place.log_lines(KEPT) == 1 }).await;
    lock.release().await;
    eventually("the service seals by the new key", || async {
        service.put("c-1", &mia()).await;
        counts(&place) == ["k2 1"]
    })
    .await;
    assert_eq!(place.log_lines(KEPT), 1, "{}", place.log());
    assert_eq!(place.log_lines("the seal keys were read again"), 1, "{}", place.log());
}

async fn a_file_that_others_may_read_is_taken_as_soon_as_they_may_not(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    let next = format!("{}.open", place.keys);
    fs::write(&next, format!("{}\n{}", *generate_key_line("k2"), place.read_keys())).unwrap();
    fs::rename(&next, &place.keys).unwrap();
    eventually("it is refused", || async { place.log_lines("run `chmod 600` on it") == 1 }).await;
    place.set_mode(0o600);
    eventually("it is taken", || async {
        service.put("c-1", &mia()).await;
        counts(&place) == ["k2 1"]
    })
    .await;
}

async fn no_key_is_forgotten_while_a_service_seals_by_it(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    service.put("c-1", &mia()).await.expect(201);
    // The operator forgets this service, and gives the new file to the command alone.
    let (old, newer) = (place.read_keys(), format!("{}.newer", place.keys));
    fs::write(&newer, format!("{}\n{old}", *generate_key_line("k2"))).unwrap();
    fs::set_permissions(&newer, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let said = format!("{}.said", place.keys);
    let mut apply = command()
        .args(["seal", "apply", "--seal-keys", &newer, "--database-url", &place.database.url])
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    eventually("it waits", || async {
        fs::read_to_string(&said).unwrap()
            == "waiting for processes that seal by these keys (-: not at all): k1\n"
    })
    .await;
    service.put("c-2", &mia()).await.expect(201);
    assert!(apply.try_wait().unwrap().is_none());
    assert_eq!(place.database.count("seal_keys").await, 2, "the old key is not forgotten");

    place.write_keys(&fs::read_to_string(&newer).unwrap());
    let output =
        actix_web::rt::task::spawn_blocking(move || apply.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "all records are sealed by k2: 2 were not before\n");
    assert_eq!(place.database.count("seal_keys").await, 1);
    service.put("c-3", &mia()).await.expect(201);
    assert_eq!(counts(&place), ["k2 3"]);
}

/// Somebody goes on with the old key for longer than a killed process counts.
async fn a_key_that_others_do_not_take_over_is_not_begun(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    service.put("c-1", &mia()).await.expect(201);
    let newer = format!("{}.newer", place.keys);
    fs::write(&newer, format!("{}\n{}", *generate_key_line("k2"), place.read_keys())).unwrap();
    fs::set_permissions(&newer, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let apply = ["seal", "apply", "--seal-keys", &newer];
    let place = std::sync::Arc::new(place);
    let (code, said) = {
        let (place, apply) = (std::sync::Arc::clone(&place), apply.map(str::to_owned));
        let run = move || place.output(&apply.each_ref().map(String::as_str));
        let output = actix_web::rt::task::spawn_blocking(run).await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let last = said.lines().last().unwrap();
    let expected =
        "error: other processes still seal by these keys (-: not at all): k1; let k2 be the first key";
    assert!(code == Some(1) && last.starts_with(expected), "{said}");
    assert_eq!(place.database.count("seal_keys WHERE key_id = 'k1'").await, 1);
    assert_eq!(
        place.database.count("seal_keys").await,
        1,
        "the service can be started without the other one"
    );
    service.put("c-2", &mia()).await.expect(201);
    assert_eq!(counts(&place), ["k1 2"]);
}

async fn a_service_whose_key_was_replaced_while_it_was_frozen_seals_nothing_by_it(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    service.put("c-1", &mia()).await.expect(201);
    place.database.execute("DELETE FROM sealers; DELETE FROM seal_keys").await;
    eventually("it notices", || async { place.log_lines("the seal key k1 was replaced meanwhile") == 1 })
        .await;
    service.put("c-2", &mia()).await.expect(503);
    service.get("c-1").await.expect(200);
    let old = place.read_keys();
    place.write_keys(&format!("{}\n{old}", *generate_key_line("k2")));
    eventually("it goes on with another key", || async {
        service.put("c-2", &mia()).await.status.is_success()
    })
    .await;
    assert_eq!(counts(&place), ["k1 1", "k2 1"]);
}

async fn somebody_who_is_gone_is_forgotten_when_the_time_is_over(engine: Engine) {
    let place = Place::new(engine).await;
    drop(place.serve());
    let store = place.database.open().await;
    assert!(!store.note_sealer("a", Some("k2"), 60).await.unwrap(), "nobody knows this key");
    assert!(store.note_sealer("a", Some("k1"), 2).await.unwrap());
    assert!(store.note_sealer("b", None, 60).await.unwrap());
    // The service was killed.
    place.database.execute("DELETE FROM sealers WHERE sealer NOT IN ('a', 'b')").await;
    assert!(!store.remove_seal_key("k1").await.unwrap());
    assert!(store.sealers().await.unwrap().contains(&Some("k1".to_owned())));
    eventually("it runs out", || async { store.remove_seal_key("k1").await.unwrap() }).await;
    assert_eq!(store.sealers().await.unwrap(), [None]);
    assert!(!store.note_sealer("a", Some("k1"), 60).await.unwrap(), "and does not come back");
}

async fn a_service_that_stops_is_gone_at_once(engine: Engine) {
    let place = Place::new(engine).await;
    let (sealing, plain) = (place.serve(), Place::new(engine).await);
    sealing.stop();
    plain.serve_plain().stop();
    for place in [place, plain] {
        assert_eq!(place.database.open().await.sealers().await.unwrap(), []);
    }
}

on_each_engine! {
    a_key_that_the_database_could_not_be_told_of_is_taken_when_it_answers_again,
    a_file_that_others_may_read_is_taken_as_soon_as_they_may_not,
    no_key_is_forgotten_while_a_service_seals_by_it,
    a_key_that_others_do_not_take_over_is_not_begun,
    a_service_whose_key_was_replaced_while_it_was_frozen_seals_nothing_by_it,
    somebody_who_is_gone_is_forgotten_when_the_time_is_over,
    a_service_that_stops_is_gone_at_once,
}
