//! Webhooks: what is sent, where it may go, and receivers that misbehave.

mod client;
mod connections;
mod delivery;
mod hook;
mod https;
mod place;
mod receiver;
