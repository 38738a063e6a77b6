//! What the tests share: a running service, a client that holds every answer against the contract, and invented people.

mod answer;
mod api;
mod certificates;
mod client;
mod conformance;
mod dice;
mod engine;
mod operations;
mod people;
mod raw;
mod service;
mod statuses;

pub(crate) use answer::Answer;
pub(crate) use api::{
    Request, Signer, TestApi, eventually, proof, register, register_limited, signed, token_for,
};
pub(crate) use certificates::certify;
pub(crate) use client::{Client, ClientRequest};
pub(crate) use conformance::{check_webhook, validator};
pub(crate) use dice::Dice;
pub(crate) use engine::{Database, Engine, on_each_engine};
pub(crate) use operations::{Operation, operations};
pub(crate) use people::{full, mia, without};
pub(crate) use raw::{Raw, RawAnswer};
pub(crate) use service::{Service, command};
pub(crate) use statuses::statuses;
