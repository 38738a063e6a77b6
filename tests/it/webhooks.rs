//! Webhooks: what is sent, where it may go, and receivers that misbehave.

mod delivery;
mod hook;
mod place;
