//! The customer service behind `PUT /customers/{CustomerID}`.
//!
//! Bytes come in, a signature proves who sent exactly these bytes, they are parsed into a type that cannot be wrong,
//! the store makes it durable, and an answer that the contract documents goes out.
//!
//! Imports point one way: `cli` → `api` → (`signature`, `model`, `store`, `contract`) → (`account`, `clock`, `random`).

/// Who owns keys and customers.
pub mod account;
/// The contract's paths as handlers; the error answer; Swagger UI.
pub mod api;
/// One file for each subcommand.
pub mod cli;
/// The one seam through which time comes.
pub mod clock;
/// `openapi.yaml`, embedded; says everything that is wrong with a document.
pub mod contract;
/// The contract's schemas as types.
pub mod model;
/// The one seam through which randomness comes.
pub mod random;
/// The `Api-Signature` JWT: claims, keys, verify, sign.
pub mod signature;
/// Customers and keys in the database.
pub mod store;
/// Logs.
pub mod telemetry;
