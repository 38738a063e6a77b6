use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

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
    #[error("{0}")]
    Config(String),
    #[error("must name a host, or a host and a port for each")]
    Hosts,
    #[error(
        "it can be read in more than one way: percent-encode '@' (%40), ':' (%3A), '/' (%2F), '?' (%3F), '#' (%23), \
         '%' (%25), '&' (%26), '=' (%3D) and white space in the user, the password and all other parts"
    )]
    Ambiguous,
    #[error("a parameter must be NAME=VALUE: percent-encode '&' (%26) and '=' (%3D) in a value")]
    Parameter,
    #[error("the {0} is given twice")]
    Twice(String),
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    #[error("sslmode=verify-ca and sslmode=verify-full need sslrootcert=FILE")]
    RootCertificate,
}

impl FromStr for PostgresUrl {
    type Err = InvalidPostgresUrl;

    fn from_str(url: &str) -> Result<Self, InvalidPostgresUrl> {
        let ClearUrl { login, address, name, parameters, mut given } = ClearUrl::of(url)?;
        let (mut mode, mut file) = (None, None);
        let (mut places, mut common) = (format!("postgres://{address}?"), DEFAULTS.to_owned());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(InvalidPostgresUrl::Parameter)?;
            if value.is_empty() {
                return Err(InvalidPostgresUrl::Parameter);
            }
            let name = decode(name)?;
            given.add(&name)?;
            match &*name {
                "sslmode" => mode = Some(decode(value)?),
                "sslrootcert" => file = Some(PathBuf::from(decode(value)?)),
                "host" | "hostaddr" | "port" => places.extend([parameter, "&"]),
                _ => {
                    given.check(&name, parameter)?;
                    common.extend(["&", parameter]);
                }
            }
        }
        let mut common = config(&format!("postgres://{login}/{name}?{common}"))?;
        let (ssl_mode, trust) = security(mode.as_deref(), file)?;
        common.ssl_mode(ssl_mode);
        let shuffled = common.get_load_balance_hosts() == LoadBalanceHosts::Random;
        Ok(Self { hosts: hosts(&config(&places)?, &common)?, shuffled, trust })
    }
}

/// A URL that has one meaning, for RFC 3986 as well as for libpq, which looks for the end of the password at the first
/// `@`.
struct ClearUrl<'a> {
    /// User and password with the `@` behind them, if they are there.
    login: &'a str,
    /// Hosts and ports.
    address: &'a str,
    name: &'a str,
    parameters: &'a str,
    given: Given,
}

impl<'a> ClearUrl<'a> {
    fn of(url: &'a str) -> Result<Self, InvalidPostgresUrl> {
        let is_plain = |char: char| !char.is_whitespace() && !char.is_control() && char != '#';
        let (_, rest) = url.split_once("://").ok_or(InvalidPostgresUrl::Hosts)?;
        let (login, rest) = rest.split_at(rest.find('@').map_or(0, |at| at + 1));
        let credentials = login.strip_suffix('@');
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (address, name) = place.split_once('/').unwrap_or((place, ""));
        let has_one_meaning = url.chars().all(is_plain)
            && is_encoded(url)
            && !rest.contains('@')
            && !name.contains('/')
            && credentials.is_none_or(are_clear);
        if !has_one_meaning {
            return Err(InvalidPostgresUrl::Ambiguous);
        }
        let is_given = [
            ("user", credentials.is_some()),
            ("password", credentials.is_some_and(|credentials| credentials.contains(':'))),
            ("host", !address.is_empty()),
            ("dbname", !name.is_empty()),
        ];
        let names = is_given.into_iter().filter(|(_, is_given)| *is_given);
        let names = names.map(|(name, _)| name.to_owned()).collect();
        Ok(Self { login, address, name, parameters, given: Given { names, is_secret: false } })
    }
}

/// Whether user and password cannot be taken for a host, a port, a database and parameters.
fn are_clear(credentials: &str) -> bool {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (_, after) = password.split_once('?').unwrap_or((password, ""));
    !user.is_empty() && !user.contains('?') && !credentials.contains('/') && !after.contains('=')
}

fn is_encoded(url: &str) -> bool {
    url.split('%').skip(1).all(|after| {
        let digits = after.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits != "00"
    })
}

/// What was given so far.
struct Given {
    names: Vec<String>,
    /// Whether a parameter was a credential: what follows may be a rest of it, and is not shown.
    is_secret: bool,
}

impl Given {
    fn add(&mut self, name: &str) -> Result<(), InvalidPostgresUrl> {
        if self.names.iter().any(|given| given == name) {
            return Err(InvalidPostgresUrl::Twice(name.to_owned()));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Asks tokio-postgres whether it knows a parameter. If not, it names it, which may be a part of a password.
    fn check(&mut self, name: &str, parameter: &str) -> Result<(), InvalidPostgresUrl> {
        let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        match config(&format!("postgres://?{parameter}")) {
            Err(_) if self.is_secret || !is_word => Err(InvalidPostgresUrl::Ambiguous),
            checked => {
                self.is_secret |= ["user", "password"].contains(&name);
                checked.map(drop)
            }
        }
    }
}

fn decode(value: &str) -> Result<String, InvalidPostgresUrl> {
    let text = percent_encoding::percent_decode_str(value).decode_utf8();
    text.map(Into::into).map_err(|_| InvalidPostgresUrl::Config("a parameter is not UTF-8".to_owned()))
}

/// tokio-postgres names the parameter at fault, and never shows its value.
fn config(url: &str) -> Result<Config, InvalidPostgresUrl> {
    url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = error.into_source().map(|cause| cause.to_string());
        InvalidPostgresUrl::Config(cause.unwrap_or_else(|| "cannot be understood".to_owned()))
    })
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

/// One for each place, with what is common to all.
fn hosts(places: &Config, common: &Config) -> Result<Vec<Config>, InvalidPostgresUrl> {
    let (hosts, addresses, ports) = (places.get_hosts(), places.get_hostaddrs(), places.get_ports());
    let count = hosts.len().max(addresses.len());
    let fits = |length: usize| length == 0 || length == count;
    if count == 0 || !fits(hosts.len()) || !fits(addresses.len()) || !(fits(ports.len()) || ports.len() == 1)
    {
        return Err(InvalidPostgresUrl::Hosts);
    }
    let is_host = |host: &Host| match host {
        Host::Tcp(name) => {
            !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || "-._:%".contains(char))
        }
        Host::Unix(folder) => !folder.to_string_lossy().contains(['@', '=']),
    };
    // libpq takes a name with these characters for a whole connection string.
    let is_name = common.get_dbname().is_none_or(|name| !name.contains(['@', '=']) && !name.contains("://"));
    if !is_name || !hosts.iter().all(is_host) {
        return Err(InvalidPostgresUrl::Ambiguous);
    }
    let alone = |index: usize| {
        let mut alone = common.clone();
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

/// What a server says, without the user's name.
pub(super) fn without_user(host: &Config, text: &str) -> String {
    let Some(user) = host.get_user().filter(|user| !user.is_empty()) else { return text.to_owned() };
    let is_in_a_word = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(user) {
        let (before, after) = (&rest[..start], &rest[start + user.len()..]);
        let is_word = !is_in_a_word(before.chars().next_back()) && !is_in_a_word(after.chars().next());
        shown.extend([before, if is_word { "…" } else { user }]);
        rest = after;
    }
    shown + rest
}

/// Where one host listens. An IPv6 address is in brackets (RFC 3986, 3.2.2).
pub(super) fn place(host: &Config) -> String {
    let port = *host.get_ports().first().unwrap_or(&PORT);
    match (host.get_hosts().first(), host.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) if name.contains(':') => format!("[{name}]:{port}"),
        (Some(Host::Tcp(name)), _) => format!("{name}:{port}"),
        (Some(Host::Unix(folder)), _) => format!("{}:{port}", folder.display()),
        (None, Some(address)) => SocketAddr::new(*address, port).to_string(),
        (None, None) => String::new(),
    }
}
