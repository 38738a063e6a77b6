//! The integration tests: one binary, a module for each subject.

mod postgres;
mod postgres_cluster;
