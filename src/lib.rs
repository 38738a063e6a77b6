//! The customer service behind `PUT /customers/{CustomerID}`.
//!
//! Bytes come in, a signature proves who sent exactly these bytes, they are parsed into a type that cannot be wrong,
//! the store makes it durable, and an answer that the contract documents goes out. The map of the house:
//!
//! - [`cli`] – one file for each subcommand
//! - [`api`] – the contract's paths as handlers; the error answer; Swagger UI
//! - [`registry`] – the registered keys, kept up to date
//! - [`signature`] – the `Api-Signature` JWT: claims, keys, verify, sign
//! - [`model`] – the contract's schemas as types
//! - [`store`] – customers and keys in the database
//! - [`contract`] – `openapi.yaml`, embedded; says everything that is wrong with a document
//! - [`files`] – files that are read again when they change, and who may read a secret
//! - [`telemetry`] – logs, metrics, traces
//! - [`by_account`] – what waits, in turn by account
//! - [`account`], [`scope`], [`signature_id`], [`clock`], [`random`] – who owns what, what a key may do, what tells
//!   signatures apart, and the seams through which time and randomness come
//!
//! Imports point one way: `cli` → `api` → `registry` → (`signature`, `model`, `store`, `contract`) → (`account`, `clock`, `random`).

pub mod account;
pub mod api;
pub mod by_account;
pub mod cli;
pub mod clock;
pub mod contract;
pub mod files;
pub mod model;
pub mod random;
pub mod record;
pub mod registry;
pub mod scope;
pub mod signature;
pub mod signature_id;
pub mod store;
pub mod telemetry;
pub mod threads;
