//! Both engines do what is decided.

use super::*;

/// What a store is asked for: some signed write to one of few customers, perhaps one of before.
fn some_write(sent: &[(usize, Change)], dice: &mut Dice) -> (usize, Change) {
    if !sent.is_empty() && dice.roll(4) == 0 {
        return sent[dice.pick(sent.len())].clone();
    }
    let version = match sent.len() {
        0 => Version::new(),
        many => match &sent[dice.pick(many)].1 {
            Change::Put { new, .. } => new.version(),
            _ => Version::new(),
        },
    };
    let signature = Some(SignatureId { expires_at: clock::now().timestamp() + 300, hash: random::bytes() });
    let put =
        |condition| Change::Put { record: record(), new: NewVersion::of(signature.map(proof)), condition };
    let change = match dice.roll(10) {
        0..4 => put(Condition::Always),
        4 => put(Condition::Absent),
        5 => put(Condition::Present),
        6 => put(Condition::OneOf(vec![version])),
        7 => Change::Delete { new: NewVersion::of(signature.map(proof)), if_match: Some(vec![version]) },
        _ => Change::Delete { new: NewVersion::of(signature.map(proof)), if_match: None },
    };
    (dice.pick(4), change)
}

fn account() -> Account {
    "acme".parse().unwrap()
}

fn id(round: u64, customer: usize) -> CustomerId {
    format!("c-{round}-{customer}").parse().unwrap()
}

/// Asks the store; the outcome in the words of [`decide`].
async fn ask(store: &Store, id: CustomerId, change: Change) -> Result<Outcome, String> {
    let signature = change.signature();
    match change {
        Change::Put { record, new, condition } => {
            let told = store.put(&account(), id, new, record, condition).await;
            told.map_err(|error| format!("{error:?}")).map(|told| match told {
                PutOutcome::Created(version) => Outcome::Created(version),
                PutOutcome::Updated(version) => Outcome::Updated(version),
                PutOutcome::ConditionFailed => Outcome::ConditionFailed,
            })
        }
        Change::Delete { if_match, .. } => {
            let proof = signature.map(proof);
            let told = store.delete(&account(), id, if_match, proof).await;
            told.map_err(|error| format!("{error:?}")).map(|told| match told {
                DeleteOutcome::Deleted => Outcome::Deleted,
                DeleteOutcome::NotFound => Outcome::NotFound,
                DeleteOutcome::ConditionFailed => Outcome::ConditionFailed,
            })
        }
        Change::Import { .. } | Change::Reseal { .. } => Err("no request asks for it".to_owned()),
    }
}

/// All writes are sent at once, so that the store makes groups of them in which a customer is written many times.
async fn a_store_does_what_is_decided_one_write_after_the_other(engine: Engine) {
    const ROUNDS: u64 = 20;
    const WRITES: usize = 100;
    let database = engine.database().await;
    let store = database.open().await;
    for round in 0..ROUNDS {
        let (mut dice, mut sent) = (Dice::new(round), Vec::new());
        for _ in 0..WRITES {
            sent.push(some_write(&sent, &mut dice));
        }
        let mut ledger = Ledger { now: clock::now().timestamp(), ..Ledger::default() };
        let decided: Vec<Outcome> =
            sent.iter().map(|(customer, change)| ledger.write(*customer, change).outcome).collect();

        for attempt in ["the first time", "again"] {
            let asked: Vec<LocalBoxFuture<'_, _>> = sent
                .iter()
                .map(|(customer, change)| {
                    Box::pin(ask(&store, id(round, *customer), change.clone())) as LocalBoxFuture<'_, _>
                })
                .collect();
            let told: Vec<Outcome> = join_all(asked).await.into_iter().map(Result::unwrap).collect();

            for (number, (told, decided)) in told.iter().zip(&decided).enumerate() {
                assert_eq!(told, decided, "round {round}, {attempt}, {number}: {:?}", sent[number]);
            }
            for customer in 0..4 {
                let stored = store.get(&account(), &id(round, customer)).await.unwrap();
                let expected = ledger.customers.get(&customer).and_then(|current| current.version);
                assert_eq!(stored.map(|stored| stored.version), expected, "round {round}, {attempt}");
            }
        }
    }
}

/// Walks that were begun before leave an imported customer out, and go by that time.
#[actix_web::test]
async fn a_customer_that_is_put_right_after_its_import_still_says_when_it_came() {
    let database = Engine::Postgres.database().await;
    let store = database.open().await;
    for round in 0..20 {
        let created = Timestamp::from_micros(1_000_000 + i64::from(round)).unwrap();
        let customer_id: CustomerId = format!("c-{round}").parse().unwrap();
        let (version, updated) = (Version::new(), created);
        let customer =
            StoredCustomer { customer_id: customer_id.clone(), record: record(), version, created, updated };
        let imported = [ImportedCustomer { account: account(), customer }];
        let acme = account();
        let put = store.put(&acme, customer_id, NewVersion::of(None), record(), Condition::Present);
        let (imported, put) = tokio::join!(biased; store.import(&imported, false), put);
        assert_eq!(imported.unwrap(), [ImportOutcome::Written]);
        assert!(matches!(put, Ok(PutOutcome::Updated(_))), "{put:?}");
    }
    assert_eq!(database.count("customers WHERE imported_at IS NOT NULL").await, 20);
}

on_each_engine! {
    a_store_does_what_is_decided_one_write_after_the_other,
}
