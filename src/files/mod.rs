//! Files that an operator replaces while the service runs, and the permissions of those that hold a secret.

mod secret;
mod watch;

pub use secret::{SecretError, read_secret, secret_options};
pub use watch::Watch;
