use std::{fmt, path::PathBuf, str::FromStr};

use tokio_postgres::{
    Config,
    config::{Host, LoadBalanceHosts, SslMode},
};

/// What holds where the URL says nothing else; tokio-postgres takes the last of several values.
///
/// A session that cannot write is of no use here, so that the replicas of a cluster are passed over. A host that
/// vanished without a word is noticed after seconds, not hours.
const DEFAULTS: &str = "application_name=customers-api&connect_timeout=3&keepalives_idle=5&keepalives_interval=2\
    &keepalives_retries=3&target_session_attrs=read-write&tcp_user_timeout=8";

/// Where a server listens whose URL names no port.
const PORT: u16 = 5432;

/// Where a Postgres database is, and how to get there.
///
/// The parameters are those of [`Config`], and besides, with the meaning that they have for libpq:
/// - `sslmode`: `disable`; `prefer` (the default: encrypted if the server can); `require` (always encrypted, but to
///   whomever, unless there is a `sslrootcert`); `verify-ca` (the server's certificate comes from the CA);
///   `verify-full` (and names the host). Over a Unix socket there is no TLS.
/// - `sslrootcert`: the file with the CA's certificates, PEM.
///
/// Unlike with libpq, `prefer` with a `sslrootcert` verifies too, and never falls back to plain text after a failure.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// One for each host, so that each gets its own time to answer.
    pub(super) hosts: Vec<Config>,
    /// Whether the hosts are tried in any order.
    pub(super) shuffled: bool,
    pub(super) trust: Trust,
}

/// Which server is believed to be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    Anyone,
    Authority { file: PathBuf, checks_name: bool },
}

/// Why a text is no [`PostgresUrl`]; in words that hold nothing of the URL but the names of parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPostgresUrl {
    /// tokio-postgres refuses it.
    #[error("{0}")]
    Config(String),
    /// There is nowhere to connect to.
    #[error("must name a host, or a host and a port for each")]
    Hosts,
    /// What looks like a part of the password is where the host should be.
    #[error("percent-encode '@', ':', '/' and '?' in the user and the password")]
    Credentials,
    /// `sslmode` is something else.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// There is nothing to verify against.
    #[error("sslmode=verify-ca and sslmode=verify-full need sslrootcert=FILE")]
    RootCertificate,
}

impl FromStr for PostgresUrl {
    type Err = InvalidPostgresUrl;

    fn from_str(url: &str) -> Result<Self, InvalidPostgresUrl> {
        let (place, parameters) = split(url);
        let (mut mode, mut file, mut known) = (None, None, DEFAULTS.to_owned());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(decode(value)?),
                Some(("sslrootcert", value)) => file = Some(PathBuf::from(decode(value)?)),
                _ => known.extend(["&", parameter]),
            }
        }
        let mut config: Config = format!("{place}?{known}").parse().map_err(refusal)?;
        let (ssl_mode, trust) = security(mode.as_deref(), file)?;
        config.ssl_mode(ssl_mode);
        let shuffled = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        Ok(Self { hosts: hosts(&config)?, shuffled, trust })
    }
}

/// What comes before the parameters, and the parameters; a password may hold a question mark.
fn split(url: &str) -> (&str, &str) {
    let start = url.find('@').unwrap_or(0);
    match url[start..].find('?') {
        Some(position) => (&url[..start + position], &url[start + position + 1..]),
        None => (url, ""),
    }
}

fn decode(value: &str) -> Result<String, InvalidPostgresUrl> {
    let text = percent_encoding::percent_decode_str(value).decode_utf8();
    text.map(Into::into).map_err(|_| InvalidPostgresUrl::Config("a parameter is not UTF-8".to_owned()))
}

/// tokio-postgres names the parameter at fault, and never shows its value.
fn refusal(error: tokio_postgres::Error) -> InvalidPostgresUrl {
    let cause = error.into_source().map(|cause| cause.to_string());
    InvalidPostgresUrl::Config(cause.unwrap_or_else(|| "cannot be understood".to_owned()))
}

fn security(mode: Option<&str>, file: Option<PathBuf>) -> Result<(SslMode, Trust), InvalidPostgresUrl> {
    let (ssl_mode, checks_name) = match mode {
        Some("disable") => (SslMode::Disable, false),
        None | Some("prefer") => (SslMode::Prefer, false),
        Some("verify-ca" | "verify-full") if file.is_none() => {
            return Err(InvalidPostgresUrl::RootCertificate);
        }
        Some("require" | "verify-ca") => (SslMode::Require, false),
        Some("verify-full") => (SslMode::Require, true),
        Some(_) => return Err(InvalidPostgresUrl::SslMode),
    };
    Ok((ssl_mode, file.map_or(Trust::Anyone, |file| Trust::Authority { file, checks_name })))
}

fn hosts(config: &Config) -> Result<Vec<Config>, InvalidPostgresUrl> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let fits = |length: usize| length == 0 || length == count;
    if count == 0 || !fits(hosts.len()) || !fits(addresses.len()) || !(fits(ports.len()) || ports.len() == 1)
    {
        return Err(InvalidPostgresUrl::Hosts);
    }
    if hosts.iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@') || name.is_empty())) {
        return Err(InvalidPostgresUrl::Credentials);
    }
    let alone = |index: usize| {
        let mut alone = common(config);
        match hosts.get(index) {
            Some(Host::Tcp(name)) => alone.host(name),
            // As with libpq: nobody listens in on a socket of the machine.
            Some(Host::Unix(folder)) => alone.host_path(folder).ssl_mode(SslMode::Disable),
            None => &mut alone,
        };
        if let Some(&address) = addresses.get(index) {
            alone.hostaddr(address);
        }
        alone.port(ports.get(index).or(ports.first()).copied().unwrap_or(PORT));
        alone
    };
    Ok((0..count).map(alone).collect())
}

/// All but the hosts.
fn common(config: &Config) -> Config {
    let mut common = Config::new();
    if let Some(user) = config.get_user() {
        common.user(user);
    }
    if let Some(password) = config.get_password() {
        common.password(password);
    }
    if let Some(name) = config.get_dbname() {
        common.dbname(name);
    }
    if let Some(options) = config.get_options() {
        common.options(options);
    }
    if let Some(name) = config.get_application_name() {
        common.application_name(name);
    }
    if let Some(&timeout) = config.get_connect_timeout() {
        common.connect_timeout(timeout);
    }
    if let Some(&timeout) = config.get_tcp_user_timeout() {
        common.tcp_user_timeout(timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        common.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        common.keepalives_retries(retries);
    }
    common
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation());
    common
}

/// Hosts, ports and the database's name: no user, no password, no parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        for (index, host) in self.hosts.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{}", place(host))?;
        }
        write!(formatter, "/{}", self.hosts.first().and_then(Config::get_dbname).unwrap_or_default())
    }
}

/// Where one host listens.
pub(super) fn place(host: &Config) -> String {
    let port = host.get_ports().first().unwrap_or(&PORT);
    match (host.get_hosts().first(), host.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => format!("{name}:{port}"),
        (Some(Host::Unix(folder)), _) => format!("{}:{port}", folder.display()),
        (None, Some(address)) => format!("{address}:{port}"),
        (None, None) => String::new(),
    }
}
