//! What a webhook sends is what the contract says that it sends.

use std::collections::BTreeSet;

use customers_api::{
    model,
    store::{Event, StoredEvent, Version},
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::oracle::{DOCUMENT, fields, validator};
use crate::support::check_webhook;

/// The body, as it is documented.
fn body() -> &'static Value {
    &DOCUMENT["webhooks"]["customerEvent"]["post"]["requestBody"]["content"]["application/json"]
}

/// Events of each type that the contract has, with and without what may be absent.
fn events() -> impl Iterator<Item = StoredEvent> {
    let types = DOCUMENT["components"]["schemas"]["EventType"]["enum"].as_array().unwrap();
    let types = types.iter().map(|name| model::EventType::deserialize(name).unwrap());
    types.flat_map(|event_type| {
        [
            (None, None),
            (Some(Version::new()), None),
            (None, Some("a")),
            (Some(Version::new()), Some("ключ 1")),
        ]
        .into_iter()
        .zip(["c", "é/ü", "c-1001", &"😀".repeat(36)].map(|id| id.parse().unwrap()))
        .zip([0, 1_741_426_200_123_456, 1_741_426_200_000_000, 253_402_300_799_999_999])
        .map(move |(((previous, key_id), customer_id), occurred)| {
            let key_id = key_id.map(str::to_owned);
            let event = Event { id: Version::new(), event_type, occurred, previous, key_id };
            StoredEvent { position: 1, customer_id, event }
        })
    })
}

#[test]
fn each_event_is_a_body_of_the_webhook() {
    let validator = validator(&body()["schema"]);
    let mut seen = BTreeSet::new();
    for event in events() {
        let event = model::Event::try_from(event).unwrap();
        let sent = serde_json::to_vec(&event).unwrap();
        let value: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(fields(&validator, &value), Vec::<String>::new(), "{value}");
        seen.extend(value.as_object().unwrap().keys().cloned());
        let mut other = value;
        other["Position"] = json!(1);
        assert_eq!(fields(&validator, &other), ["Position"], "nothing else is sent");
    }
    let members = DOCUMENT["components"]["schemas"]["Event"]["properties"].as_object().unwrap().keys();
    assert_eq!(seen, members.cloned().collect(), "every member was sent");
}

#[test]
fn the_examples_of_the_webhook_are_requests_of_it() {
    let parameters = DOCUMENT["webhooks"]["customerEvent"]["post"]["parameters"].as_array().unwrap();
    for (name, example) in body()["examples"].as_object().unwrap() {
        println!("{name}");
        let header = |name: &str| {
            if name == "webhook-id" {
                return example["value"]["EventID"].as_str().map(str::to_owned);
            }
            let parameter = parameters.iter().find(|parameter| parameter["name"] == name)?;
            Some(parameter["example"].to_string().trim_matches('"').to_owned())
        };
        check_webhook(header, &example["value"]);
    }
}
