//! What comes out of the store is what went in.

use std::collections::BTreeMap;

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection},
    store::Condition,
};

use super::{parameters::ids, samples, valid::customers};
use crate::support::{Engine, on_each_engine};

async fn any_valid_customer_comes_out_equal(engine: Engine) {
    let database = engine.database().await;
    let store = database.open().await;
    let account: Account = "acme".parse().unwrap();
    let mut put = BTreeMap::new();
    for (id, customer) in samples(300, &(ids(), customers())) {
        let id: CustomerId = id.parse().unwrap();
        let input: CustomerInput = serde_json::from_value(customer).unwrap();
        store.put(&account, id.clone(), input.clone(), Condition::Always).await.unwrap();
        let kept = store.get(&account, &id).await.unwrap().unwrap().customer;
        assert_eq!((&kept.customer_id, &kept.input), (&id, &input));
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
