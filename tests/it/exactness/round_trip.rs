//! What comes out of the store is what went in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
};

use customers_api::{
    account::Account,
    model::{Customer, CustomerId, CustomerInput, Customers, SortDirection},
    record::{Records, SealKeys, generate_key_line},
    store::{Condition, NewVersion, StoredCustomer},
};
use serde_json::Value;

use super::{parameters::ids as ids_of_customers, samples, valid::customers};
use crate::support::{Database, Engine, command, on_each_engine};

/// A customer from the store as the schema `Customer` has it.
fn typed(inputs: &BTreeMap<CustomerId, CustomerInput>, stored: &StoredCustomer) -> Customer {
    let input = inputs[&stored.customer_id].clone();
    Customer { customer_id: stored.customer_id.clone(), created: stored.created, input }
}

async fn any_valid_customer_comes_out_equal(engine: Engine) {
    comes_out_equal(engine, &Records::default()).await;
}

async fn any_valid_customer_comes_out_equal_when_it_was_sealed(engine: Engine) {
    comes_out_equal(engine, &Records::new(SealKeys::parse(&generate_key_line("k1")).unwrap())).await;
}

async fn comes_out_equal(engine: Engine, records: &Records) {
    let database = engine.database().await;
    let store = database.open().await;
    let account: Account = "acme".parse().unwrap();
    let (mut put, mut inputs) = (BTreeMap::new(), BTreeMap::new());
    for (id, customer) in samples(300, &(ids_of_customers(), customers())) {
        let id: CustomerId = id.parse().unwrap();
        let input: CustomerInput = serde_json::from_value(customer.clone()).unwrap();
        let version = NewVersion::of(None);
        let record = records.encode(&account, &id, version.version(), &input).unwrap();
        store.put(&account, id.clone(), version, record, Condition::Always).await.unwrap();
        let kept = store.get(&account, &id).await.unwrap().unwrap();
        assert_eq!(kept.customer_id, id);
        let answer = records.answer(&account, &kept).unwrap();
        let mut expected = customer.clone();
        expected["CustomerID"] = id.as_str().into();
        expected["Created"] = kept.created.to_string().into();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), expected);
        inputs.insert(id.clone(), input);
        let typed = serde_json::to_vec(&typed(&inputs, &kept)).unwrap();
        assert_eq!(answer, typed, "the answer is spliced as its type would be written");
        put.insert(id, kept);
    }

    let (mut listed, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.list(&account, SortDirection::Asc, after, 7).await.unwrap();
        let items = page.customers.iter().map(|stored| typed(&inputs, stored)).collect();
        let typed = Customers { items, page_token: Some("next".to_owned()) };
        let answer = records.page(&account, &page.customers, Some("next")).unwrap();
        assert_eq!(answer, serde_json::to_vec(&typed).unwrap(), "and so is a page");
        listed.extend(page.customers.into_iter().map(|customer| (customer.customer_id.clone(), customer)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(listed == put, "all are listed, each once and as it was put");
}

async fn any_valid_customer_is_moved_to_the_other_engine(engine: Engine) {
    is_moved(engine, false).await;
}

async fn any_valid_customer_is_moved_to_the_other_engine_when_it_was_sealed(engine: Engine) {
    is_moved(engine, true).await;
}

/// Exports from one engine, imports into the other, and compares what each gives.
async fn is_moved(engine: Engine, is_sealed: bool) {
    let (from, to, folder) =
        (engine.database().await, engine.other().database().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("seal-keys");
    fs::write(&file, &*generate_key_line("k1")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let keys: &[&str] = if is_sealed { &["--seal-keys", file.to_str().unwrap()] } else { &[] };
    let (store, account): (_, Account) = (from.open().await, "acme".parse().unwrap());
    let records = Records::start(&store, is_sealed.then(|| file.clone()), false).await.unwrap();
    records.begin(&store).await.unwrap();
    let mut ids = BTreeSet::new();
    for (id, customer) in samples(300, &(ids_of_customers(), customers())) {
        let id: CustomerId = id.parse().unwrap();
        let input: CustomerInput = serde_json::from_value(customer).unwrap();
        let version = NewVersion::of(None);
        let record = records.encode(&account, &id, version.version(), &input).unwrap();
        store.put(&account, id.clone(), version, record, Condition::Always).await.unwrap();
        ids.insert(id);
    }
    let run = |name: &str, database: &Database, stdin: Stdio, stdout: Stdio| {
        let mut command = command();
        command.arg(name).args(keys).args(["--database-url", &database.url]);
        assert!(command.stdin(stdin).stdout(stdout).status().unwrap().success(), "{name}");
    };
    let lines = folder.path().join("lines");
    run("export", &from, Stdio::null(), File::create(&lines).unwrap().into());
    run("import", &to, File::open(&lines).unwrap().into(), Stdio::null());
    let moved = to.open().await;
    for id in ids {
        let (before, after) =
            (store.get(&account, &id).await.unwrap(), moved.get(&account, &id).await.unwrap());
        let (before, after) = (before.unwrap(), after.unwrap());
        let answers = [&before, &after].map(|stored| records.answer(&account, stored).unwrap());
        assert_eq!(answers[0], answers[1]);
        assert_eq!((before.version, before.updated), (after.version, after.updated));
        assert_eq!(before.record.sealed_by, after.record.sealed_by);
    }
}

on_each_engine! {
    any_valid_customer_is_moved_to_the_other_engine,
    any_valid_customer_is_moved_to_the_other_engine_when_it_was_sealed,
    any_valid_customer_comes_out_equal,
    any_valid_customer_comes_out_equal_when_it_was_sealed,
}
