//! The registered keys, without HTTP.

use std::{thread, time::Duration};

use actix_web::rt::time::timeout;
use customers_api::registry::Registry;
use futures_util::FutureExt as _;
use tokio::runtime::Builder;

use crate::support::{Engine, on_each_engine};

async fn a_registry_tells_when_its_keys_are_no_longer_refreshed(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;

    let refreshed = Registry::start(store.clone()).await.unwrap();
    assert!(refreshed.ended().now_or_never().is_none(), "the keys are refreshed");

    // A runtime that is dropped ends its tasks.
    let start =
        move || Builder::new_current_thread().enable_all().build().unwrap().block_on(Registry::start(store));
    let abandoned = thread::spawn(start).join().unwrap().unwrap();
    assert!(timeout(Duration::from_secs(30), abandoned.ended()).await.is_ok(), "the refresher has ended");
    assert!(refreshed.ended().now_or_never().is_none(), "the other registry goes on");
}

on_each_engine! { a_registry_tells_when_its_keys_are_no_longer_refreshed }
