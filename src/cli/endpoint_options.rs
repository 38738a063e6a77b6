use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, ensure};
use clap::Args;

use super::{listen::Listen, tls_options::TlsOptions};
use crate::api::BasePath;

/// Where the service is served.
#[derive(Debug, Args)]
pub(super) struct EndpointOptions {
    /// The address or the name of a host to listen on; port 0 picks a free one
    #[arg(long, env = "CUSTOMERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub(super) listen: Listen,
    #[command(flatten)]
    pub(super) tls: TlsOptions,
    /// Where to listen for those who run the service: `/metrics`, `/livez` and `/readyz` [default: not at all]
    #[arg(long, env = "CUSTOMERS_ADMIN_LISTEN", value_name = "ADDRESS:PORT")]
    pub(super) admin_listen: Option<Listen>,
    /// The prefix of the API's paths, and of `/livez` and `/readyz` beside them
    #[arg(long, env = "CUSTOMERS_BASE_PATH", default_value = "/", value_name = "PATH")]
    pub(super) base_path: BasePath,
}

impl EndpointOptions {
    /// The URL of a probe of the service, for a client on this machine.
    pub(super) fn url(&self, probe: &str) -> anyhow::Result<String> {
        let Self { listen, tls, admin_listen, base_path } = self;
        if let Some(admin) = admin_listen {
            return Ok(format!("http://{}{probe}", reachable(admin)?));
        }
        let scheme = if tls.are_given() { "https" } else { "http" };
        Ok(format!("{scheme}://{}{}{probe}", reachable(listen)?, base_path.as_str()))
    }
}

/// Where a client on this machine reaches what listens there.
fn reachable(listen: &Listen) -> anyhow::Result<SocketAddr> {
    let mut address = listen.resolve().with_context(|| format!("cannot resolve {listen}"))?;
    ensure!(address.port() != 0, "nobody knows the port that {listen} became: give --url");
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        endpoint: EndpointOptions,
    }

    fn url(words: &str) -> Option<String> {
        let line = Line::try_parse_from(words.split_whitespace()).unwrap();
        line.endpoint.url("/readyz").ok()
    }

    #[test]
    fn a_probe_asks_where_the_service_listens() {
        for (words, expected) in [
            ("serve --listen 127.0.0.1:80", "http://127.0.0.1:80/readyz"),
            ("serve --listen 0.0.0.0:80 --base-path /api/v1", "http://127.0.0.1:80/api/v1/readyz"),
            ("serve --listen [::]:80 --tls-cert c --tls-key k", "https://[::1]:80/readyz"),
            (
                "serve --listen 0.0.0.0:80 --base-path /api --admin-listen 127.0.0.2:81",
                "http://127.0.0.2:81/readyz",
            ),
        ] {
            assert_eq!(url(words).as_deref(), Some(expected), "{words}");
        }
        assert_eq!(url("serve --listen 127.0.0.1:0"), None);
    }
}
