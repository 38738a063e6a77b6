//! What comes out of the store is what went in.

use std::collections::BTreeMap;

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection},
    record,
    store::Condition,
};
use serde_json::Value;

use super::{parameters::ids, samples, valid::customers};
use crate::support::{Engine, on_each_engine};

async fn any_valid_customer_comes_out_equal(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let account: Account = "acme".parse().unwrap();
    let mut put = BTreeMap::new();
    for (id, customer) in samples(300, &(ids(), customers())) {
        let id: CustomerId = id.parse().unwrap();
        let input: CustomerInput = serde_json::from_value(customer.clone()).unwrap();
        let record = record::encode(&input).unwrap();
        store.put(&account, id.clone(), record, Condition::Always).await.unwrap();
        let kept = store.get(&account, &id).await.unwrap().unwrap();
        assert_eq!(kept.customer_id, id);
        let mut answer = Vec::new();
        record::write_customer(&kept, &mut answer).unwrap();
        let mut expected = customer.clone();
        expected["CustomerID"] = id.as_str().into();
        expected["Created"] = kept.created.to_string().into();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), expected);
        let parsed: CustomerInput = serde_json::from_slice(&kept.record.bytes).unwrap();
        assert_eq!(parsed, input);
        put.insert(id, kept);
    }

    let (mut listed, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.list(&account, SortDirection::Asc, after, 7).await.unwrap();
        listed.extend(page.customers.into_iter().map(|customer| (customer.customer_id.clone(), customer)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(listed == put, "all are listed, each once and as it was put");
}

on_each_engine! { any_valid_customer_comes_out_equal }
