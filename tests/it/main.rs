//! The integration tests: one binary, a module for each subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "a test says what it tried")]

mod api;
mod backup;
mod bounds;
mod ci;
mod cli;
mod congestion;
mod connection;
mod coverage;
mod decide;
mod drift;
mod erase;
mod events;
mod exactness;
mod examples;
mod head;
mod keys;
mod limits;
mod linearizable;
mod log;
mod metrics;
mod migrations;
mod once;
mod operations;
mod package;
mod pages;
mod ports;
mod postgres;
mod postgres_cluster;
mod preconditions;
mod readiness;
mod readme;
mod record;
mod registry;
mod released;
mod rename;
mod seal;
mod signature;
mod signature_vectors;
mod sqlite;
mod store;
mod support;
mod swagger_ui;
mod tidy;
mod tls;
mod traces;
mod transfer;
mod undocumented;
mod walks;
mod webhooks;
mod your_own_api;
