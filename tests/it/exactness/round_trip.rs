//! What comes out of the store is what went in.

use std::collections::BTreeMap;

use customers_api::{
    account::Account,
    model::{Customer, CustomerId, CustomerInput, Customers, SortDirection},
    record::{Records, SealKeys, generate_key_line},
    store::{Condition, StoredCustomer, Version},
};
use serde_json::Value;

use super::{parameters::ids, samples, valid::customers};
use crate::support::{Engine, on_each_engine};

/// A customer from the store as the schema `Customer` has it.
fn typed(inputs: &BTreeMap<CustomerId, CustomerInput>, stored: &StoredCustomer) -> Customer {
    let input = inputs[&stored.customer_id].clone();
    Customer::new(stored.customer_id.clone(), stored.created, input)
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
    for (id, customer) in samples(300, &(ids(), customers())) {
        let id: CustomerId = id.parse().unwrap();
        let input: CustomerInput = serde_json::from_value(customer.clone()).unwrap();
        let version = Version::new();
        let record = records.encode(&account, &id, version, &input).unwrap();
        store.put(&account, id.clone(), version, record, Condition::Always, None).await.unwrap();
        let kept = store.get(&account, &id).await.unwrap().unwrap();
        assert_eq!(kept.customer_id, id);
        let answer = records.customer(&account, &kept).unwrap();
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

on_each_engine! {
    any_valid_customer_comes_out_equal,
    any_valid_customer_comes_out_equal_when_it_was_sealed,
}
