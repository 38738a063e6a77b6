use std::time::Instant;

use super::*;
use crate::{
    model::EventType,
    store::{Access, Cursor, Event, EventTypes, Version},
    telemetry::WebhookMetrics,
    webhooks::{client::Client, steps::Steps, target::Allowed},
};

#[tokio::test]
async fn what_was_looked_up_when_it_is_told_to_end_or_has_no_lease_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("customers.db").display());
    let store = Store::open(&url.parse().unwrap(), Access::Create).await.unwrap();
    let event = StoredEvent {
        position: 1,
        customer_id: "c-1".to_owned().try_into().unwrap(),
        event: Event {
            id: Version::new(),
            event_type: EventType::CustomerCreated,
            occurred: 1,
            previous: None,
            key_id: None,
        },
    };
    let cursor = Cursor { position: 1, ..Cursor::START };
    let (account, url) = ("acme".parse().unwrap(), "https://203.0.114.1/".to_owned());
    let webhook = Webhook::new("w-1".to_owned(), account, url, EventTypes::ALL, cursor);
    let held =
        HeldCustomer { customer_id: event.customer_id.clone(), position: 1, occurred: 1, tries: 1, due: 0 };
    let client = Client::new(Allowed::default()).unwrap();
    let sender = Sender::new(client, Allowed::default(), Steps::default(), WebhookMetrics::new().unwrap());
    let sender = Rc::new(sender);
    let mut endpoint = Endpoint::new(webhook, vec![held], Rc::clone(&sender), store);
    let mut found = |told| {
        assert!(matches!(endpoint.schedule.next(now()), Some(Next::Held(..))), "it waits");
        let done = Done::LookedUp(event.customer_id.clone(), Ok(LookedUp::Found(event.clone())));
        endpoint.take(done, told)
    };
    assert_eq!(found(Order::Run), None, "without a lease");
    sender.set_lease(Instant::now() + Duration::from_secs(600));
    assert_eq!(found(Order::Finish), None);
    assert_eq!(found(Order::End), None);
    assert_eq!(found(Order::Run), Some(event.clone()));
}
