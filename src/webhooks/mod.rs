//! Webhooks: events that are sent to those who asked for them.

mod address;
mod client;
mod connection;
mod failure;
mod network;
mod signing;
mod target;

pub use address::is_public;
pub use client::{Client, Message, Settings};
pub use failure::{Failure, FailureKind, UnknownFailureKind};
pub use network::{Network, System};
pub use signing::{InvalidSecret, Secret, signatures};
pub use target::{Allowed, AllowedHost, InvalidHost, InvalidTarget, Target, TargetError};
