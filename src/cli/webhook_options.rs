use clap::Args;

use crate::webhooks::{Allowed, AllowedHost};

/// Where webhooks may go.
#[derive(Debug, Args)]
pub(super) struct WebhookOptions {
    /// A host to which webhooks may go also if its address is not public, and over http, too: without port, repeated or with commas
    #[arg(long, env = "CUSTOMERS_WEBHOOK_ALLOW", value_name = "HOST", value_delimiter = ',')]
    webhook_allow: Vec<AllowedHost>,
}

impl WebhookOptions {
    pub(super) fn allowed(&self) -> Allowed {
        self.webhook_allow.iter().cloned().collect()
    }
}
