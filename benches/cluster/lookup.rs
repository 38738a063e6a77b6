//! Reads the list of all customers.

use std::{collections::BTreeMap, time::Duration};

use actix_web::rt::time::sleep;

use crate::{calls::content, checker::Content, load::Load, replica::Replica};

/// All customers of the account, from this replica.
pub(crate) async fn all(load: &Load, replica: &Replica) -> BTreeMap<String, Content> {
    let (mut found, mut target) = (BTreeMap::new(), "/customers?PageSize=100".to_owned());
    loop {
        let page = loop {
            match load.send(&load.signed("GET", target.clone(), None, String::new()), replica).await {
                Some(answer) if answer.status == 200 => break answer.json(),
                _ => sleep(Duration::from_millis(200)).await,
            }
        };
        for customer in page["Items"].as_array().unwrap() {
            found.insert(customer["CustomerID"].as_str().unwrap().to_owned(), content(customer));
        }
        let Some(token) = page["PageToken"].as_str() else {
            return found;
        };
        let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
        target = format!("/customers?PageSize=100&PageToken={token}");
    }
}
