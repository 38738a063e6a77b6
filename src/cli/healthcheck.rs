use std::{str::FromStr, sync::Arc, time::Duration};

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
    #[arg(long, env = "CUSTOMERS_HEALTHCHECK_URL", value_name = "URL")]
    url: Option<ProbeUrl>,
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
            Some(ProbeUrl(url)) => url,
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

/// A URL that can be shown.
#[derive(Debug, Clone)]
struct ProbeUrl(Uri);

/// Why a text is not a [`ProbeUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL without a user, such as http://127.0.0.1:8080/readyz")]
struct InvalidProbeUrl;

impl FromStr for ProbeUrl {
    type Err = InvalidProbeUrl;

    fn from_str(text: &str) -> Result<Self, InvalidProbeUrl> {
        let url: Uri = text.parse().map_err(|_| InvalidProbeUrl)?;
        let is_http = url.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let has_host =
            url.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'));
        if is_http && has_host { Ok(Self(url)) } else { Err(InvalidProbeUrl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_can_be_asked_has_a_host_and_no_user() {
        for text in ["http://127.0.0.1:8080/readyz", "https://[::1]:8443/api/readyz", "http://api.example"] {
            assert!(text.parse::<ProbeUrl>().is_ok(), "{text}");
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
            assert_eq!(text.parse::<ProbeUrl>().err(), Some(InvalidProbeUrl), "{text}");
        }
    }
}
