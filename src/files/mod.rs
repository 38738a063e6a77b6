//! Files that an operator replaces while the service runs, and the permissions of those that hold a secret.

mod secret;
mod watch;

pub(crate) use secret::SecretError;
pub use secret::{read_secret, secret_options};
pub use watch::Watch;
