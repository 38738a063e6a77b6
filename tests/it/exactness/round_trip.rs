//! What comes out of the store is what went in.

use std::collections::BTreeMap;

use customers_api::{
    account::Account,
    model::{Customer, CustomerId, CustomerInput, Customers, SortDirection},
    record,
    store::{Condition, StoredCustomer},
};
use serde_json::Value;

use super::{parameters::ids, samples, valid::customers};
use crate::support::{Engine, on_each_engine};

/// A customer from the store as the schema `Customer` has it.
fn typed(stored: &StoredCustomer) -> Customer {
    let input = serde_json::from_slice(&stored.record.bytes).unwrap();
    Customer::new(stored.customer_id.clone(), stored.created, input)
}

async fn any_valid_customer_comes_out_equal(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let account: Account = "acme".parse().unwrap();
    let mut put = BTreeMap::new();
    for (id, customer) in samples(300, &(ids(), customers())) {
        let id: CustomerId = id.parse().unwrap();
        let input: CustomerInput = serde_json::from_value(customer.clone()).unwrap();
        let record = record::encode(&input).unwrap();
        store.put(&account, id.clone(), record, Condition::Always, None).await.unwrap();
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
        let typed = serde_json::to_vec(&typed(&kept)).unwrap();
        assert_eq!(answer, typed, "the answer is spliced as its type would be written");
        put.insert(id, kept);
    }

    let (mut listed, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.list(&account, SortDirection::Asc, after, 7).await.unwrap();
        let items = page.customers.iter().map(typed).collect();
        let typed = Customers { items, page_token: Some("next".to_owned()) };
        let answer = record::write_page(&page.customers, Some("next")).unwrap();
        assert_eq!(answer, serde_json::to_vec(&typed).unwrap(), "and so is a page");
        listed.extend(page.customers.into_iter().map(|customer| (customer.customer_id.clone(), customer)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(listed == put, "all are listed, each once and as it was put");
}

on_each_engine! { any_valid_customer_comes_out_equal }
