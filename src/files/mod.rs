//! Files that an operator replaces while the service runs, and the permissions of those that hold a secret.

mod secret;
mod watch;

pub use secret::{SecretError, read_secret};
pub use watch::Watch;
