//! In the store, without HTTP.

use actix_web::rt::task::JoinHandle;
use customers_api::{
    account::Account,
    clock,
    model::{CustomerId, CustomerInput},
    random,
    signature_id::SignatureId,
    store::{
        Condition, DeleteOutcome, ImportOutcome, ImportedCustomer, NewVersion, PutOutcome, Record, Store,
        StoreError, Version,
    },
};
use futures_util::{FutureExt as _, future::join_all};

use crate::support::{Database, Engine, eventually, mia, on_each_engine, proof};

pub(super) fn account() -> Account {
    "acme".parse().unwrap()
}

pub(super) fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

fn record() -> Record {
    let input: CustomerInput = serde_json::from_value(mia()).unwrap();
    Record { bytes: serde_json::to_vec(&input).unwrap(), sealed_by: None }
}

/// A signature that was never used.
pub(super) fn signature() -> SignatureId {
    SignatureId { expires_at: clock::now().timestamp() + 300, hash: random::bytes() }
}

pub(super) async fn put(
    store: &Store,
    customer_id: &str,
    condition: Condition,
    signature: SignatureId,
) -> Result<PutOutcome, StoreError> {
    store.put(&account(), id(customer_id), NewVersion::of(Some(proof(signature))), record(), condition).await
}

/// For any account.
pub(super) async fn put_for(
    store: &Store,
    account: &Account,
    customer_id: String,
    signature: SignatureId,
) -> Result<PutOutcome, StoreError> {
    let id = id(&customer_id);
    store.put(account, id, NewVersion::of(Some(proof(signature))), record(), Condition::Always).await
}

pub(super) async fn delete(
    store: &Store,
    customer_id: &str,
    if_match: Option<Vec<Version>>,
    signature: SignatureId,
) -> DeleteOutcome {
    store.delete(&account(), id(customer_id), if_match, Some(proof(signature))).await.unwrap()
}

/// The kinds of conditions.
fn conditions() -> [Condition; 6] {
    let strange = Version::new;
    [
        Condition::Always,
        Condition::Absent,
        Condition::Present,
        Condition::OneOf(vec![strange()]),
        Condition::OneOf(vec![strange(), strange()]),
        Condition::Never,
    ]
}

/// Deletes the customer, and puts it again if it is to be there.
async fn begin_with(store: &Store, is_there: bool) {
    store.delete(&account(), id("c-1"), None, None).await.unwrap();
    if is_there {
        store.put(&account(), id("c-1"), NewVersion::of(None), record(), Condition::Always).await.unwrap();
    }
}

/// Every write that can be made, each with what it is repeated with.
async fn each_outcome_is_told_again_and_nothing_changes(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for is_there in [false, true] {
        for condition in conditions() {
            begin_with(&store, is_there).await;
            let signature = signature();
            let first = put(&store, "c-1", condition.clone(), signature).await.unwrap();
            let stored = store.get(&account(), &id("c-1")).await.unwrap();
            for repeated in conditions() {
                let again = put(&store, "c-1", repeated, signature).await.unwrap();
                assert_eq!(again, first, "{condition:?}, the customer is there: {is_there}");
            }
            assert_eq!(store.get(&account(), &id("c-1")).await.unwrap(), stored);
        }
        for stale in [false, true] {
            begin_with(&store, is_there).await;
            let (signature, versions) = (signature(), stale.then(|| vec![Version::new()]));
            let first = delete(&store, "c-1", versions.clone(), signature).await;
            let expected = match (is_there, stale) {
                (true, true) => DeleteOutcome::ConditionFailed,
                (true, false) => DeleteOutcome::Deleted,
                (false, _) => DeleteOutcome::NotFound,
            };
            assert_eq!(first, expected);
            store
                .put(&account(), id("c-1"), NewVersion::of(None), record(), Condition::Always)
                .await
                .unwrap();
            for versions in [versions, None, Some(vec![])] {
                assert_eq!(delete(&store, "c-1", versions, signature).await, first);
            }
            assert!(store.get(&account(), &id("c-1")).await.unwrap().is_some());
        }
    }
}

async fn a_repeat_in_the_queue_behind_the_first_is_told_the_same(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for condition in [Condition::Always, Condition::Absent, Condition::Present] {
        store.delete(&account(), id("c-1"), None, None).await.unwrap();
        let lock = database.lock().await;
        let (signature, other) = (signature(), signature());
        let mut writes: Vec<_> = [signature, other, signature, signature]
            .into_iter()
            .map(|signature| Box::pin(put(&store, "c-1", condition.clone(), signature)))
            .collect();
        for write in &mut writes {
            assert!(write.as_mut().now_or_never().is_none(), "it waits");
        }
        lock.release().await;
        let outcomes: Vec<_> = join_all(writes).await.into_iter().map(Result::unwrap).collect();

        assert_eq!(outcomes[2], outcomes[0], "{condition:?}");
        assert_eq!(outcomes[3], outcomes[0]);
        let stored = store.get(&account(), &id("c-1")).await.unwrap().map(|customer| customer.version);
        let last = match (outcomes[0], outcomes[1]) {
            (_, PutOutcome::Updated(version)) | (PutOutcome::Created(version), _) => Some(version),
            _ => None,
        };
        assert_eq!(stored, last, "the other request came last");
    }
}

async fn repeats_among_new_writes_of_many_customers(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let signatures: Vec<_> = (0..100).map(|_| signature()).collect();
    let write_all = async |numbers: std::ops::Range<usize>| {
        let writes = numbers.map(|number| {
            let (store, signature) = (&store, signatures[number]);
            async move { put(store, &format!("c-{number}"), Condition::Always, signature).await.unwrap() }
        });
        join_all(writes).await
    };
    let first = write_all(0..50).await;
    let all = write_all(0..100).await;
    assert_eq!(all[..50], first[..]);
    assert!(all.iter().all(|outcome| matches!(outcome, PutOutcome::Created(_))));
    assert_eq!(write_all(0..100).await, all);
    assert_eq!(database.count("customers WHERE created_at = updated_at").await, 100);
    assert_eq!(database.used_signatures().await, 100);
}

async fn copies_over_two_stores_have_one_effect(engine: Engine) {
    let database = engine.database().await;
    let stores = [database.open().await, database.open().await];
    for round in 0..20 {
        let (signature, customer_id) = (signature(), format!("c-{round}"));
        let condition = conditions()[round % 3].clone();
        let copies = (0..32).map(|number| {
            let (store, condition) = (&stores[number % 2], condition.clone());
            put(store, &customer_id, condition, signature)
        });
        let outcomes: Vec<_> = join_all(copies).await.into_iter().map(Result::unwrap).collect();

        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{condition:?}: {outcomes:?}");
        let stored = stores[1].get(&account(), &id(&customer_id)).await.unwrap();
        match outcomes[0] {
            PutOutcome::Created(version) => {
                let stored = stored.unwrap();
                assert_eq!((stored.version, stored.created), (version, stored.updated), "written once");
            }
            PutOutcome::ConditionFailed => assert!(stored.is_none() && condition == Condition::Present),
            PutOutcome::Updated(_) => panic!("the customer is new"),
        }
    }
}

async fn a_repeat_after_a_restart_is_told_the_same(engine: Engine) {
    let database = engine.database().await;
    let signature = signature();
    let first = put(&database.open().await, "c-1", Condition::Always, signature).await.unwrap();
    let store = database.open().await;
    store.delete(&account(), id("c-1"), None, None).await.unwrap();

    assert_eq!(put(&store, "c-1", Condition::Always, signature).await.unwrap(), first);
    assert!(store.get(&account(), &id("c-1")).await.unwrap().is_none());
}

async fn a_write_that_a_full_queue_refused_can_be_sent_again(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let signatures: Vec<_> = (0..3000).map(|_| signature()).collect();
    let write = |(number, signature): (usize, &SignatureId)| {
        let (store, signature) = (store.clone(), *signature);
        actix_web::rt::spawn(async move {
            put(&store, &format!("c-{number}"), Condition::Always, signature).await
        })
    };
    let lock = database.lock().await;
    let writes: Vec<_> = signatures.iter().enumerate().map(write).collect();
    eventually("the queue is full", async || writes.iter().any(JoinHandle::is_finished)).await;
    lock.release().await;
    let outcomes = join_all(writes).await.into_iter().map(Result::unwrap);
    let refused: Vec<_> = outcomes.enumerate().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(!refused.is_empty());
    for (number, _) in refused.into_iter().take(20) {
        let outcome = put(&store, &format!("c-{number}"), Condition::Absent, signatures[number]).await;
        assert!(matches!(outcome, Ok(PutOutcome::Created(_))), "{number}: {outcome:?}");
    }
}

async fn a_signature_is_remembered_while_the_row_changes(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let signatures: Vec<_> = (0..4).map(|_| signature()).collect();
    let mut outcomes = Vec::new();
    for signature in &signatures {
        outcomes.push(put(&store, "c-1", Condition::Always, *signature).await.unwrap());
        assert_eq!(
            put(&store, "c-1", Condition::Always, *signature).await.unwrap(),
            outcomes[outcomes.len() - 1]
        );
    }
    store.put(&account(), id("c-1"), NewVersion::of(None), record(), Condition::Always).await.unwrap();
    let last = store.get(&account(), &id("c-1")).await.unwrap();

    for (signature, outcome) in signatures.iter().zip(&outcomes) {
        assert_eq!(put(&store, "c-1", Condition::Always, *signature).await.unwrap(), *outcome);
    }
    assert_eq!(store.get(&account(), &id("c-1")).await.unwrap(), last);
    assert_eq!(database.used_signatures().await, 4);
}

async fn an_import_that_replaces_a_customer_keeps_its_signature(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let signature = signature();
    let first = put(&store, "c-1", Condition::Always, signature).await.unwrap();
    let mut customer = store.get(&account(), &id("c-1")).await.unwrap().unwrap();
    customer.version = Version::new();
    let imported = ImportedCustomer { account: account(), customer: customer.clone() };
    assert_eq!(store.import(&[imported], true).await.unwrap(), [ImportOutcome::Written]);

    assert_eq!(put(&store, "c-1", Condition::Always, signature).await.unwrap(), first);
    assert_eq!(store.get(&account(), &id("c-1")).await.unwrap().unwrap(), customer);
}

/// Puts so many used signatures into the database that expire so many seconds from now.
async fn hold(engine: Engine, database: &Database, signatures: usize, expire_in: i64) {
    let expires_at = clock::now().timestamp() + expire_in;
    let row = |_| {
        let hash = hex::encode(random::bytes::<16>());
        match engine {
            Engine::Sqlite => format!("({expires_at}, x'{hash}', x'4e')"),
            Engine::Postgres => format!("({expires_at}, '\\x{hash}', '\\x4e')"),
        }
    };
    let rows: Vec<String> = (0..signatures).map(row).collect();
    let sql = format!("INSERT INTO used_signatures (expires_at, hash, outcome) VALUES {}", rows.join(","));
    database.execute(&sql).await;
}

async fn what_has_expired_is_pruned_when_no_write_comes(engine: Engine) {
    let database = engine.database().await;
    let _store = database.open().await;
    // Several steps, in several seconds; and what another replica with another clock may still accept.
    for second in 0..5 {
        hold(engine, &database, 600, -100 - second).await;
    }
    hold(engine, &database, 10, -55).await;
    hold(engine, &database, 10, 1).await;
    hold(engine, &database, 10, 900).await;
    eventually("the expired ones are gone", || async { database.count("used_signatures").await == 30 }).await;
}

async fn what_has_expired_is_pruned_while_writes_come(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    hold(engine, &database, 3000, -100).await;
    let expired = format!("used_signatures WHERE expires_at < {}", clock::now().timestamp());
    let mut written = 0;
    while database.count(&expired).await > 0 {
        let writes = (written..written + 300).map(|number| {
            let store = &store;
            async move { put(store, &format!("c-{number}"), Condition::Always, signature()).await }
        });
        written += join_all(writes).await.into_iter().map(Result::unwrap).count();
    }
    assert_eq!(i64::try_from(written).unwrap(), database.used_signatures().await, "no other is gone");
}

async fn a_damaged_outcome_fails_alone(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let (damaged, sound) = (signature(), signature());
    put(&store, "c-1", Condition::Always, damaged).await.unwrap();
    let first = put(&store, "c-2", Condition::Always, sound).await.unwrap();
    for customer_id in ["c-1", "c-2"] {
        store.delete(&account(), id(customer_id), None, None).await.unwrap();
    }
    let (hash, bytes) = match engine {
        Engine::Sqlite => (format!("x'{}'", hex::encode(damaged.hash)), "x'43'"),
        Engine::Postgres => (format!("'\\x{}'", hex::encode(damaged.hash)), "'\\x43'"),
    };
    database.execute(&format!("UPDATE used_signatures SET outcome = {bytes} WHERE hash = {hash}")).await;

    let repeats = [("c-1", damaged), ("c-2", sound), ("c-3", signature())]
        .map(|(customer_id, signature)| put(&store, customer_id, Condition::Always, signature));
    let repeats = join_all(repeats).await;

    assert!(matches!(repeats[0], Err(StoreError::Failed(_))), "{repeats:?}");
    assert_eq!(repeats[1].as_ref().unwrap(), &first);
    assert!(matches!(repeats[2], Ok(PutOutcome::Created(_))), "{repeats:?}");
}

on_each_engine! {
    each_outcome_is_told_again_and_nothing_changes,
    a_repeat_in_the_queue_behind_the_first_is_told_the_same,
    repeats_among_new_writes_of_many_customers,
    copies_over_two_stores_have_one_effect,
    a_repeat_after_a_restart_is_told_the_same,
    what_has_expired_is_pruned_when_no_write_comes,
    what_has_expired_is_pruned_while_writes_come,
    a_damaged_outcome_fails_alone,
    a_signature_is_remembered_while_the_row_changes,
    an_import_that_replaces_a_customer_keeps_its_signature,
    a_write_that_a_full_queue_refused_can_be_sent_again,
}
