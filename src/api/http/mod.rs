//! The server: sockets, paths, and what is done around every request.

mod certificate;
mod connection;
mod connections;
mod documents;
mod error_form;
mod exchange;
mod gate;
mod health;
mod http2;
mod limits;
mod middleware;
mod observed;
mod pace;
mod peer;
mod routes;
mod server;
mod stream;
mod tls;

pub use certificate::{Certificate, InvalidCertificate};
pub use health::READY;
pub use server::{Admin, Server, Sockets, Stopper, run};
