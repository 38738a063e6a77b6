//! What clients ask for, and whom they put. The load of `scripts/cluster` asks for the same.

use serde_json::Value;

use super::checker::{Call, Content, Operation, Reply, When};
use crate::support::{Dice, mia};

/// Invented people who differ in this.
pub(crate) fn customer(content: Content) -> Value {
    let mut customer = mia();
    customer["PrimaryResidence"]["City"] = format!("City {content}").into();
    customer
}

/// What a customer was put with.
pub(crate) fn content(customer: &Value) -> Content {
    let city = customer["PrimaryResidence"]["City"].as_str().unwrap();
    city.strip_prefix("City ").unwrap().parse().unwrap()
}

/// Some call on a customer with this history. What it puts is new.
pub(crate) fn choose(history: &[Operation], content: Content, dice: &mut Dice) -> Call {
    // What the customer had lately, and perhaps still has.
    let known = history.iter().rev().filter_map(|operation| match (operation.call, operation.reply) {
        (_, Some((Reply::Found(content), _)))
        | (Call::Put(content, _), Some((Reply::Created | Reply::Updated, _))) => Some(content),
        _ => None,
    });
    let held = known.take(1 + dice.pick(3)).last();
    match (dice.roll(20), held) {
        (0..=5, _) => Call::Get,
        (6..=8, _) => Call::Put(content, When::Always),
        (9..=11, _) => Call::Put(content, When::Absent),
        (12, _) => Call::Put(content, When::Present),
        (13..=14, Some(held)) => Call::Put(content, When::Holds(held)),
        (15..=16, Some(held)) => Call::Delete(Some(held)),
        _ => Call::Delete(None),
    }
}
