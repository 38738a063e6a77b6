//! The customer service behind `PUT /customers/{CustomerID}`.
//!
//! Bytes come in, a signature proves who sent exactly these bytes, they are parsed into a type that cannot be wrong,
//! the store makes it durable, and an answer that the contract documents goes out. `ARCHITECTURE.md` has the map of the
//! modules, and says what each of them may import.

#[cfg(not(unix))]
compile_error!(
    "customers-api is for Unix: it relies on permissions of files, signals and locks as Unix has them"
);

pub mod account;
pub mod api;
pub(crate) mod by_account;
pub mod cli;
pub mod clock;
pub mod contract;
pub mod files;
pub(crate) mod lock;
pub mod model;
pub mod random;
pub mod record;
pub mod registry;
pub(crate) mod scheduling;
pub mod scope;
pub mod signature;
pub mod signature_id;
pub mod store;
pub mod telemetry;
pub mod threads;
pub mod webhooks;
