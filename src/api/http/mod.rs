//! The server: sockets, paths, and what is done around every request.

mod certificate;
mod connections;
mod health;
mod http2;
mod limits;
mod middleware;
mod routes;
mod server;
mod tls;

pub use certificate::{Certificate, InvalidCertificate};
pub use server::{Admin, Server, Sockets, Stopper, run};
