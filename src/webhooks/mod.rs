//! Webhooks: events that are sent to those who asked for them.
//!
//! A thread of its own looks after all endpoints that no other process sends to (`service`). An endpoint (`endpoint`) reads the
//! feed of its account and sends what its `schedule` says, by a `client` that only goes where a `target` allows.

mod address;
mod client;
mod connection;
mod endpoint;
mod failure;
mod message;
mod network;
mod schedule;
mod secrets;
mod sender;
mod service;
mod signing;
mod steps;
mod target;

pub use address::is_public;
pub use client::{BODY_BYTES_MAX, Client, HEAD_TIME_MAX, Message, Settings as ClientSettings};
pub use failure::{Failure, FailureKind, UnknownFailureKind};
pub use message::message;
pub use network::{Network, System};
pub use schedule::{HELD_CUSTOMERS_MAX, SENDING_MAX};
pub use secrets::{Secrets, Signer};
pub use service::{Settings, Webhooks};
pub use signing::{InvalidSecret, Secret, signatures};
pub use steps::Steps;
pub use target::{Allowed, AllowedHost, InvalidHost, InvalidTarget, Target, TargetError, URL_BYTES_MAX};

/// How many endpoints an account has at most.
pub const ENDPOINTS_MAX: i64 = 16;
