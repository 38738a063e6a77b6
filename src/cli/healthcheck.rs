use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Args;
use http::{Uri, uri::Scheme};
use rustls::crypto::aws_lc_rs::default_provider;
use ureq::{Agent, tls::TlsConfig};

use super::{endpoint_options::EndpointOptions, output};
use crate::api::READY;

/// How long the answer may take. With the start of the process that is less than 2 seconds.
const PATIENCE: Duration = Duration::from_millis(1800);

/// Ask the service on this machine whether it is ready
///
/// The command finds the service by the options that `serve` was started with: it asks `/readyz` at `--admin-listen`, or
/// else at `--listen`. The exit code is 0 if the service is ready, and 1 if it is not, or does not answer within 2 seconds.
/// A certificate is not checked, because no secret is sent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Healthcheck {
    /// What to ask instead
    #[arg(long, env = "CUSTOMERS_HEALTHCHECK_URL", value_name = "URL", value_parser = probe_url)]
    url: Option<Uri>,
    #[command(flatten)]
    endpoint: EndpointOptions,
}

const EXAMPLES: &str = "\
Examples:
  customers-api healthcheck
  customers-api healthcheck --url https://api.example/livez";

impl Healthcheck {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { url, endpoint } = self;
        let url = match url {
            Some(url) => url,
            None => endpoint.url(READY)?.parse()?,
        };
        let answer = agent().get(&url).call().with_context(|| format!("no answer from {url}"))?;
        let status = answer.status().as_u16();
        ensure!(answer.status().is_success(), "{url} answers with status {status}");
        output::print(format_args!("{url} answers with status {status}"))
    }
}

fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
        .disable_verification(true);
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .tls_config(tls.build());
    config.build().new_agent()
}

/// Takes a URL that can be shown.
fn probe_url(text: &str) -> Result<Uri, &'static str> {
    let url = text.parse().ok().filter(|url: &Uri| {
        let is_http = url.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        is_http && url.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'))
    });
    url.ok_or("must be an http or https URL without a user, such as http://127.0.0.1:8080/readyz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_can_be_asked_has_a_host_and_no_user() {
        for text in ["http://127.0.0.1:8080/readyz", "https://[::1]:8443/api/readyz", "http://api.example"] {
            assert!(probe_url(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "/readyz",
            "127.0.0.1:8080",
            "ftp://a/",
            "http://",
            "http:///readyz",
            "http://user:secret@a/",
            "http://a b/",
        ] {
            assert!(probe_url(text).is_err(), "{text}");
        }
    }
}
