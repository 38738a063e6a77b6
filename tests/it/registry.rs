//! The registered keys, without HTTP.

use std::{thread, time::Duration};

use actix_web::rt::time::timeout;
use customers_api::{
    clock,
    registry::Registry,
    scope::Scope,
    signature::{Algorithm, PrivateKey},
    store::SigningKey,
};
use futures_util::FutureExt as _;
use tokio::runtime::Builder;

use crate::support::{Engine, Signer, TestApi, on_each_engine, token_for};

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

async fn the_owner_of_a_key_is_told_its_id_and_nobody_else(engine: Engine) {
    let api = TestApi::start(engine).await;
    let renamed = |signer: &Signer, key_id: &str| {
        let key = PrivateKey::from_pem(signer.key.to_pem()).unwrap();
        let signer = Signer { account: signer.account.clone(), key, key_id: key_id.to_owned() };
        token_for(&signer, "GET", "/customers/c-1", b"")
    };
    let thumbprint = api.signer.key.thumbprint().unwrap();

    let answer = api.get("c-1").token(renamed(&api.signer, &thumbprint)).send().await.expect(401);
    assert_eq!(answer.detail(), "this key is registered under another id: send acme-1 as kid");
    let other = api.register("other", Algorithm::Es384, "other-1").await;
    let answer = api.get("c-1").token(renamed(&other, &thumbprint)).send().await.expect(401);
    assert!(answer.detail().starts_with("kid is not the id of a registered key"), "{}", answer.detail());

    let same = SigningKey {
        key_id: thumbprint.clone(),
        account: api.signer.account.clone(),
        algorithm: "ES384".to_owned(),
        public_key: api.signer.key.public_key().unwrap().to_pem().to_owned(),
        created: clock::now().into(),
        scope: Scope::Write,
        expires: None,
        revoked: None,
    };
    assert!(api.store.add_signing_key(same).await.unwrap());
    api.get("c-1").token(renamed(&api.signer, &thumbprint)).send().await.expect(404);
}

on_each_engine! {
    a_registry_tells_when_its_keys_are_no_longer_refreshed,
    the_owner_of_a_key_is_told_its_id_and_nobody_else,
}
