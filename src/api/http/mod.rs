//! The server: sockets, paths, and what is done around every request.

mod connections;
mod health;
mod middleware;
mod routes;
mod server;

pub use server::{Admin, Server, Sockets, Stopper, run};
