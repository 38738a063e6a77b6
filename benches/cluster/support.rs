//! Parts of the integration tests that hold for this load, too.

#![allow(dead_code, reason = "the tests use more of it")]

#[path = "../../tests/it/support/answer.rs"]
mod answer;
#[path = "../../tests/it/support/client.rs"]
mod client;
#[path = "../../tests/it/support/conformance.rs"]
mod conformance;
#[path = "../../tests/it/support/dice.rs"]
mod dice;
#[path = "../../tests/it/support/people.rs"]
mod people;

pub(crate) use answer::Answer;
pub(crate) use client::Client;
pub(crate) use dice::Dice;
pub(crate) use people::mia;

/// Holds an answer against the contract; `Err` says what the contract does not document.
pub(crate) fn check(method: &str, path: &str, answer: &Answer) -> Result<(), String> {
    let checked = std::panic::catch_unwind(|| conformance::check(method, path, answer));
    checked.map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned()))
}
