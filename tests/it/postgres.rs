//! What is Postgres's own.

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, SortDirection},
    store::{Access, Condition, Delete, Put, Store},
};
use serde_json::json;

use crate::postgres_cluster::database;

fn account() -> Account {
    "acme".parse().unwrap()
}

fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

fn mia() -> CustomerInput {
    let mia = json!({
        "FullName": { "FirstName": "Mia", "LastName": "Muster" },
        "DateOfBirth": "0000-02-29",
        "Identities": [],
        "PrimaryResidence": {
            "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "12345", "State": "Berlin", "Country": "DE"
        }
    });
    serde_json::from_value(mia).unwrap()
}

async fn open(url: &str) -> Store {
    Store::open(&url.parse().unwrap(), Access::Create).await.unwrap()
}

#[actix_web::test]
async fn a_customer_can_be_put_read_listed_and_deleted() {
    let store = open(&database().await).await;
    let created = store.put(&account(), id("c-1"), mia(), Condition::Always).await.unwrap();
    assert!(matches!(created, Put::Created(_)), "{created:?}");
    let updated = store.put(&account(), id("c-1"), mia(), Condition::Always).await.unwrap();
    assert!(matches!(updated, Put::Updated(_)), "{updated:?}");
    let stored = store.get(&account(), &id("c-1")).await.unwrap().unwrap();
    assert_eq!(Put::Updated(stored.version), updated);
    let page = store.list(&account(), SortDirection::Asc, None, 10).await.unwrap();
    assert_eq!(page.customers, [stored.customer]);
    assert_eq!(store.delete(&account(), id("c-1"), None).await.unwrap(), Delete::Deleted);
    assert_eq!(store.delete(&account(), id("c-1"), None).await.unwrap(), Delete::NotFound);
    store.check().await.unwrap();
}
