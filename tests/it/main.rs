//! The integration tests: one binary, a module for each subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod api;
mod bounds;
mod cli;
mod coverage;
mod drift;
mod exactness;
mod examples;
mod once;
mod pages;
mod postgres;
mod postgres_cluster;
mod record;
mod registry;
mod signature;
mod sqlite;
mod store;
mod support;
mod swagger_ui;
mod tidy;
