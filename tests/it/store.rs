//! The store, without HTTP: the same suite on each engine.

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection, Timestamp},
    scope::Scope,
    store::{
        Condition, CustomerPage, DeleteOutcome, LookUp, NewVersion, Position, PutOutcome, Record, SigningKey,
        Store, StoreError, UnusableKey, Version,
    },
};
use futures_util::future::{join, join_all};
use serde_json::Value;

use crate::support::{Database, Engine, full, mia, on_each_engine};

fn account(name: &str) -> Account {
    name.parse().unwrap()
}

fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

/// What a handler makes of a body.
fn record(customer: Value) -> Record {
    let input: CustomerInput = serde_json::from_value(customer).unwrap();
    Record { bytes: serde_json::to_vec(&input).unwrap(), sealed_by: None }
}

async fn put(store: &Store, customer_id: &str, condition: Condition) -> PutOutcome {
    store
        .put(&account("acme"), id(customer_id), NewVersion::of(None), record(mia()), condition)
        .await
        .unwrap()
}

async fn list(store: &Store, direction: SortDirection, after: Option<Position>, limit: u32) -> CustomerPage {
    store.list(&account("acme"), direction, after, limit).await.unwrap()
}

fn created(put: PutOutcome) -> Version {
    let PutOutcome::Created(version) = put else { panic!("{put:?}") };
    version
}

fn updated(put: PutOutcome) -> Version {
    let PutOutcome::Updated(version) = put else { panic!("{put:?}") };
    version
}

async fn a_record_that_is_larger_than_asked_for_is_not_read(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    put(&store, "c-1", Condition::Always).await;
    let stored = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    let bytes = stored.record.bytes.len();
    let look_up = async |customer_id, bytes_max| {
        store.look_up(&account("acme"), &id(customer_id), bytes_max).await.unwrap()
    };
    assert_eq!(look_up("c-1", bytes).await, LookUp::Customer(stored.clone()));
    assert_eq!(look_up("c-1", bytes - 1).await, LookUp::TooLarge);
    assert_eq!(look_up("c-2", bytes).await, LookUp::Nothing);
    // Postgres looks up together what is asked for at the same time.
    let [whole, cut] = [usize::MAX, 1].map(|bytes_max| look_up("c-1", bytes_max));
    assert_eq!(join(whole, cut).await, (LookUp::Customer(stored), LookUp::TooLarge));
}

async fn a_customer_is_kept_as_it_is(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let mut extreme = full();
    for (pointer, text) in [
        ("/FullName/FirstName", "\u{1F600}".repeat(50)),
        ("/FullName/LastName", "'; DROP TABLE customers; -- \\ \" \u{1} \u{7f} \r\n\t".to_owned()),
        ("/PrimaryResidence/Street2", String::new()),
        ("/DateOfBirth", "0000-02-29".to_owned()),
        ("/Identities/0/ExpiryDate", "9999-12-31".to_owned()),
    ] {
        *extreme.pointer_mut(pointer).unwrap() = text.into();
    }
    for customer in [mia(), full(), extreme] {
        let outcome = store
            .put(
                &account("acme"),
                id("c-1"),
                NewVersion::of(None),
                record(customer.clone()),
                Condition::Always,
            )
            .await
            .unwrap();
        let stored = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
        assert!(
            matches!(outcome, PutOutcome::Created(version) | PutOutcome::Updated(version) if version == stored.version)
        );
        let kept: Value = serde_json::from_slice(&stored.record.bytes).unwrap();
        assert_eq!(kept, customer);
    }
}

async fn each_condition_decides(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let strange = Version::new();
    for condition in
        [Condition::Present, Condition::OneOf(vec![strange]), Condition::OneOf(vec![]), Condition::Never]
    {
        assert_eq!(put(&store, "c-1", condition).await, PutOutcome::ConditionFailed);
    }
    let first = created(put(&store, "c-1", Condition::Absent).await);
    for condition in
        [Condition::Absent, Condition::OneOf(vec![strange]), Condition::OneOf(vec![]), Condition::Never]
    {
        assert_eq!(put(&store, "c-1", condition).await, PutOutcome::ConditionFailed);
    }
    assert_eq!(
        store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap().version,
        first,
        "nothing was written"
    );
    let second = updated(put(&store, "c-1", Condition::OneOf(vec![strange, first])).await);
    let third = updated(put(&store, "c-1", Condition::Present).await);
    let fourth = updated(put(&store, "c-1", Condition::Always).await);

    let delete = |name: &'static str, versions| {
        store.delete(&*Box::leak(Box::new(account("acme"))), id(name), versions, None)
    };
    assert_eq!(delete("c-2", None).await.unwrap(), DeleteOutcome::NotFound);
    assert_eq!(delete("c-2", Some(vec![fourth])).await.unwrap(), DeleteOutcome::NotFound);
    assert_eq!(
        delete("c-1", Some(vec![first, second, third])).await.unwrap(),
        DeleteOutcome::ConditionFailed
    );
    assert_eq!(delete("c-1", Some(vec![])).await.unwrap(), DeleteOutcome::ConditionFailed);
    assert_eq!(delete("c-1", Some(vec![first, fourth])).await.unwrap(), DeleteOutcome::Deleted);
    assert_eq!(delete("c-1", None).await.unwrap(), DeleteOutcome::NotFound);
}

async fn an_update_keeps_the_moment_of_creation_and_moves_the_other_one(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    created(put(&store, "c-1", Condition::Always).await);
    let mut last = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(last.created, last.updated);
    for condition in [Condition::Always, Condition::Present, Condition::OneOf(vec![last.version])] {
        let condition = if matches!(condition, Condition::OneOf(_)) {
            Condition::OneOf(vec![last.version])
        } else {
            condition
        };
        updated(put(&store, "c-1", condition).await);
        let next = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
        assert_eq!(next.created, last.created);
        assert!(next.updated > last.updated);
        last = next;
    }
}

async fn accounts_are_apart(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    created(put(&store, "c-1", Condition::Always).await);
    let other = account("other");
    assert!(store.get(&other, &id("c-1")).await.unwrap().is_none());
    assert_eq!(store.delete(&other, id("c-1"), None, None).await.unwrap(), DeleteOutcome::NotFound);
    assert_eq!(store.list(&other, SortDirection::Desc, None, 10).await.unwrap().customers, []);
    created(
        store.put(&other, id("c-1"), NewVersion::of(None), record(full()), Condition::Always).await.unwrap(),
    );
    let mine = store.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(mine.record, record(mia()));
}

async fn many_writes_at_once_each_get_their_own_outcome(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let names: Vec<_> = (0..300).map(|number| format!("c-{}", number % 100)).collect();
    let outcomes = join_all(names.iter().map(|name| put(&store, name, Condition::Always))).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(
            matches!(outcome, PutOutcome::Created(_)),
            number < 100,
            "{number}: the writes of one id keep their order"
        );
    }
    assert_eq!(list(&store, SortDirection::Asc, None, 1000).await.customers.len(), 100);
    for (name, outcome) in names.iter().zip(&outcomes).skip(200) {
        let stored = store.get(&account("acme"), &id(name)).await.unwrap().unwrap();
        assert_eq!(stored.version, updated(*outcome), "the last write of an id is the one that stays");
    }
}

async fn a_write_that_fails_its_condition_harms_no_other_of_its_group(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let outcomes = join_all((0..100).map(|number| {
        let condition = if number % 3 == 0 { Condition::Present } else { Condition::Absent };
        let (store, name) = (&store, format!("c-{number}"));
        async move { put(store, &name, condition).await }
    }))
    .await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(*outcome == PutOutcome::ConditionFailed, number % 3 == 0, "{number}");
    }
}

async fn a_queue_that_is_full_refuses_and_forgets_nothing(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let (acme, number) = (account("acme"), 5000);
    let writes = (0..number).map(|number| {
        store.put(&acme, id(&format!("c-{number}")), NewVersion::of(None), record(mia()), Condition::Always)
    });
    let outcomes = join_all(writes).await;
    let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Busy))).count();
    assert_eq!(written + refused, number, "a write is made or refused");
    assert!(refused > 0, "the queue is bounded");
    for (number, outcome) in outcomes.iter().enumerate().step_by(7) {
        let stored = store.get(&acme, &id(&format!("c-{number}"))).await.unwrap();
        assert_eq!(
            stored.is_some(),
            outcome.is_ok(),
            "{number}: what was refused is not there, what was not is"
        );
    }
}

async fn what_was_written_is_there_after_the_store_is_opened_again(engine: Engine) {
    let database = engine.database().await;
    let version = created(put(&database.open().await, "c-1", Condition::Always).await);
    let stored = database.open().await.get(&account("acme"), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(stored.version, version);
}

async fn ids_are_compared_by_code_point(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for name in ["a", "A", "é", "e\u{301}", " a", "a ", "\u{1F600}", "\u{ffff}"] {
        created(put(&store, name, Condition::Absent).await);
    }
    assert_eq!(list(&store, SortDirection::Asc, None, 100).await.customers.len(), 8);
}

async fn pages_go_on_after_a_customer_that_is_gone(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    for number in 0..6 {
        created(put(&store, &format!("c-{number}"), Condition::Always).await);
    }
    for (direction, next) in [(SortDirection::Asc, "c-2"), (SortDirection::Desc, "c-3")] {
        let page = list(&store, direction, None, 2).await;
        let last = page.next.clone().unwrap();
        store.delete(&account("acme"), last.customer_id.clone(), None, None).await.unwrap();
        let page = list(&store, direction, page.next, 2).await;
        assert_eq!(page.customers[0].customer_id, id(next));
    }
}

async fn several_stores_may_open_an_empty_database_at_once(engine: Engine) {
    let database = engine.database().await;
    let stores = join_all((0..10).map(|_| database.open())).await;
    for (number, store) in stores.iter().enumerate() {
        created(put(store, &format!("c-{number}"), Condition::Absent).await);
    }
    let secrets = join_all(
        stores
            .iter()
            .enumerate()
            .map(|(number, store)| store.secret("test", vec![u8::try_from(number).unwrap()])),
    )
    .await;
    let secrets: Vec<_> = secrets.into_iter().map(Result::unwrap).collect();
    assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]), "all get the same secret");
}

async fn threads_that_look_up_at_once_each_see_what_was_acknowledged(engine: Engine) {
    const THREADS: usize = 8;
    const CUSTOMERS: usize = 50;
    let database = engine.database().await;
    let store = database.open().await;
    let runtime = tokio::runtime::Handle::current();
    let threads = (0..THREADS).map(|thread| {
        let (store, runtime) = (store.clone(), runtime.clone());
        tokio::task::spawn_blocking(move || {
            for number in 0..CUSTOMERS {
                let customer_id = format!("c-{thread}-{number}");
                let version = created(runtime.block_on(put(&store, &customer_id, Condition::Absent)));
                let stored = runtime.block_on(store.get(&account("acme"), &id(&customer_id)));
                assert_eq!(stored.unwrap().unwrap().version, version);
            }
        })
    });
    for thread in join_all(threads).await {
        thread.unwrap();
    }
}

async fn keys_are_registered_listed_and_revoked_once(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let moment = |micros| Timestamp::from_micros(micros).unwrap();
    let key = |key_id: &str, created| SigningKey {
        key_id: key_id.to_owned(),
        account: account("acme"),
        algorithm: "ES384".to_owned(),
        public_key: "PEM".to_owned(),
        created: moment(created),
        scope: Scope::Write,
        expires: None,
        revoked: None,
    };
    assert!(store.add_signing_key(key("b", 1)).await.unwrap());
    assert!(store.add_signing_key(key("a", 2)).await.unwrap());
    assert!(!store.add_signing_key(key("a", 3)).await.unwrap(), "the id is taken");
    assert!(store.revoke_signing_key("b", moment(4)).await.unwrap());
    assert!(!store.revoke_signing_key("b", moment(5)).await.unwrap(), "it is revoked already");
    assert!(!store.revoke_signing_key("c", moment(5)).await.unwrap(), "there is none");
    assert!(!store.add_signing_key(key("b", 6)).await.unwrap(), "a revoked id is not free again");
    let revoked = SigningKey { revoked: Some(moment(4)), ..key("b", 1) };
    assert_eq!(store.signing_keys().await.unwrap(), [Ok(revoked), Ok(key("a", 2))]);
}

/// Lets the database refuse every record that holds `Nowhere`.
async fn refuse_nowhere(engine: Engine, database: &Database) {
    let rule = match engine {
        Engine::Sqlite => {
            "CREATE TRIGGER nowhere BEFORE INSERT ON customers WHEN instr(CAST(NEW.record AS TEXT), 'Nowhere') \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        }
        Engine::Postgres => {
            "ALTER TABLE customers ADD CHECK (position('Nowhere' IN convert_from(record, 'UTF8')) = 0)"
        }
    };
    database.execute(rule).await;
}

async fn a_write_that_is_refused_harms_no_other(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    refuse_nowhere(engine, &database).await;

    let writes = (0..100).map(async |number| {
        let mut customer = mia();
        if number % 10 == 0 {
            customer["PrimaryResidence"]["City"] = "Nowhere".into();
        }
        let id = id(&format!("c-{number}"));
        store.put(&account("acme"), id, NewVersion::of(None), record(customer), Condition::Always).await
    });
    let outcomes = join_all(writes).await;

    for (number, outcome) in outcomes.iter().enumerate() {
        let is_as_expected = match outcome {
            Ok(put) => number % 10 != 0 && matches!(put, PutOutcome::Created(_)),
            Err(error) => number % 10 == 0 && matches!(error, StoreError::Failed(_)),
        };
        assert!(is_as_expected, "{number}: {outcome:?}");
        assert!(
            !format!("{outcome:?}").contains("Muster"),
            "no personal data in what is logged: {outcome:?}"
        );
    }
    assert_eq!(list(&store, SortDirection::Asc, None, 100).await.customers.len(), 90);
}

async fn a_key_that_cannot_be_used_does_not_hide_the_others(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let row = |key_id: &str, account: &str, created_at: &str| {
        format!(
            "INSERT INTO signing_keys (key_id, account, algorithm, public_key, created_at) \
             VALUES ('{key_id}', '{account}', 'ES384', 'PEM', {created_at});"
        )
    };
    let rows = [row("a", "two words", "1"), row("b", "acme", "2"), row("c", "acme", "9223372036854775807")];
    database.execute(&rows.concat()).await;
    let keys = store.signing_keys().await.unwrap();
    let unusable = |key_id: &str, reason| UnusableKey { key_id: key_id.to_owned(), reason };
    assert_eq!(keys[0], Err(unusable("a", "the account name is malformed")));
    assert_eq!(keys[1].as_ref().map(|key| key.key_id.as_str()), Ok("b"));
    assert_eq!(keys[2], Err(unusable("c", "a timestamp is out of range")));
}

async fn a_scan_reads_every_account_once_in_the_order_of_keys(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let mut expected = Vec::new();
    for name in ["b", "B", "a", "a.b"] {
        for customer_id in ["2", "10", "é", "Z", "a"] {
            let outcome = store
                .put(&account(name), id(customer_id), NewVersion::of(None), record(mia()), Condition::Always)
                .await;
            created(outcome.unwrap());
            expected.push((name.to_owned(), customer_id.to_owned()));
        }
    }
    expected.sort();
    for limit in [1, 3, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let rows = store.scan(after, limit).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some((last.account.clone(), last.customer_id.clone()));
            assert!(rows.iter().all(|row| row.customer.is_ok()));
            found.extend(rows.into_iter().map(|row| (row.account, row.customer_id)));
        }
        assert_eq!(found, expected, "{limit} at once");
    }
}

on_each_engine! {
    a_record_that_is_larger_than_asked_for_is_not_read,
    a_write_that_is_refused_harms_no_other,
    a_key_that_cannot_be_used_does_not_hide_the_others,
    a_scan_reads_every_account_once_in_the_order_of_keys,
    a_customer_is_kept_as_it_is,
    each_condition_decides,
    an_update_keeps_the_moment_of_creation_and_moves_the_other_one,
    accounts_are_apart,
    many_writes_at_once_each_get_their_own_outcome,
    a_write_that_fails_its_condition_harms_no_other_of_its_group,
    a_queue_that_is_full_refuses_and_forgets_nothing,
    what_was_written_is_there_after_the_store_is_opened_again,
    ids_are_compared_by_code_point,
    pages_go_on_after_a_customer_that_is_gone,
    several_stores_may_open_an_empty_database_at_once,
    threads_that_look_up_at_once_each_see_what_was_acknowledged,
    keys_are_registered_listed_and_revoked_once,
}
