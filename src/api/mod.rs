//! HTTP: the operations of the contract as handlers, and everything around them.
//!
//! A request passes `http::middleware` (its id, its log line, the one form of errors), then `request::signed` (who
//! sent it and what it says), then its handler in `customers`, which calls the store. Statuses are chosen in `error`
//! alone.

mod base_path;
mod budget;
mod caller;
mod customers;
mod document;
mod error;
mod events;
mod explainer;
mod http;
mod location;
mod operation;
mod operations;
mod page_token;
mod readiness;
mod request;
mod response;
mod room;
mod settings;
mod state;
mod swagger_ui;

pub use base_path::{BasePath, InvalidBasePath};
pub use document::document;
pub use http::{Admin, Certificate, InvalidCertificate, READY, Server, Sockets, Stopper, run};
pub use operation::Operation;
pub use operations::operations;
pub use settings::{BODY_BYTES_MAX, SIGNATURE_HEADER, Settings};
pub use state::Api;
