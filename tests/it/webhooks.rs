//! Webhooks: what is sent, where it may go, and receivers that misbehave.

mod cli;
mod client;
mod connections;
mod delivery;
mod environment;
mod hook;
mod https;
mod place;
mod processes;
mod receiver;
mod stored;
