//! Where requests may go.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use http::{HeaderValue, Uri};
use url::{Host, ParseError, Position, Url};

use super::{
    address::is_public,
    network::{Network as _, System},
};

/// How long a URL may be, as it is given and as it is kept, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// A host that the operator allows, though it is not public: a name or an address, as the URL standard normalises it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedHost(Host);

/// This is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host: give a name or an address, without scheme and port")]
pub struct InvalidHost;

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        // In a URL an IPv6 address stands in brackets; people write it without.
        let host =
            text.parse::<Ipv6Addr>().map_or_else(|_| Host::parse(text), |address| Ok(Host::Ipv6(address)));
        host.map(Self).map_err(|_| InvalidHost)
    }
}

/// The hosts that the operator allows: they may have any address, and may be asked over http.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Vec<AllowedHost>);

impl Allowed {
    pub(super) fn has(&self, host: &Host) -> bool {
        self.0.iter().any(|AllowedHost(allowed)| allowed == host)
    }
}

impl FromIterator<AllowedHost> for Allowed {
    fn from_iter<I: IntoIterator<Item = AllowedHost>>(hosts: I) -> Self {
        Self(hosts.into_iter().collect())
    }
}

/// A URL that requests may go to.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host,
    port: u16,
    /// The value of `Host`.
    authority: HeaderValue,
    /// The path and the query.
    path: Uri,
    is_allowed: bool,
}

/// Why requests may not go to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// It is too long.
    #[error("the URL is longer than 2,048 bytes")]
    TooLong,
    /// The URL standard knows no such URL.
    #[error("this is not a valid URL")]
    Malformed,
    /// It has another scheme.
    #[error("the URL does not begin with https:// (http:// is for hosts of --webhook-allow only)")]
    NotHttps,
    /// It has a user or a password.
    #[error("the URL has a user or a password")]
    User,
    /// It has a fragment.
    #[error("the URL has a fragment: leave out what begins with #")]
    Fragment,
    /// There is no host in it.
    #[error("the URL has no host")]
    NoHost,
    /// Its host is an address that is not public.
    #[error("the address in the URL is not public (--webhook-allow allows it)")]
    NotPublic,
}

/// Why requests cannot go to a target at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The name has no address.
    #[error("the name of the host does not resolve")]
    Unresolved,
    /// At least one of its addresses is not public.
    #[error("the name of the host resolves to an address that is not public (--webhook-allow allows it)")]
    NotPublic,
}

impl Target {
    /// Reads a URL, and checks whether requests may go there. Its name may still resolve to any address.
    pub fn parse(url: &str, allowed: &Allowed) -> Result<Self, InvalidTarget> {
        if url.len() > URL_BYTES_MAX {
            return Err(InvalidTarget::TooLong);
        }
        let url = Url::parse(url).map_err(|error| match error {
            ParseError::EmptyHost => InvalidTarget::NoHost,
            _ => InvalidTarget::Malformed,
        })?;
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(InvalidTarget::TooLong);
        }
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidTarget::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::User);
        }
        if url.fragment().is_some() {
            return Err(InvalidTarget::Fragment);
        }
        let host = url.host().ok_or(InvalidTarget::NoHost)?.to_owned();
        let is_allowed = allowed.has(&host);
        if url.scheme() == "http" && !is_allowed {
            return Err(InvalidTarget::NotHttps);
        }
        if literal(&host).is_some_and(|address| !is_allowed && !is_public(address)) {
            return Err(InvalidTarget::NotPublic);
        }
        let malformed = InvalidTarget::Malformed;
        Ok(Self {
            port: url.port_or_known_default().ok_or(malformed)?,
            authority: url[Position::BeforeHost..Position::AfterPort].parse().map_err(|_| malformed)?,
            path: url[Position::BeforePath..].parse().map_err(|_| malformed)?,
            host,
            url,
            is_allowed,
        })
    }

    /// The URL, as the URL standard normalises it. It must not be logged: what follows the host may be secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The addresses that requests may go to at present.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, TargetError> {
        let addresses = match self.name() {
            Some(name) => System.look_up(name).await.unwrap_or_default(),
            None => Vec::new(),
        };
        self.checked(addresses)
    }

    /// The name that has to be looked up before a connection, unless the host is an address.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Domain(name) => Some(name),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    /// Where to connect to, if the name has these addresses and requests may go to all of them.
    pub(super) fn checked(&self, addresses: Vec<IpAddr>) -> Result<Vec<SocketAddr>, TargetError> {
        let addresses = literal(&self.host).map_or(addresses, |address| vec![address]);
        if addresses.is_empty() {
            return Err(TargetError::Unresolved);
        }
        if !self.is_allowed && !addresses.iter().copied().all(is_public) {
            return Err(TargetError::NotPublic);
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, self.port)).collect())
    }

    /// What a connection can be used for again: scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What the certificate must be for.
    pub(super) fn tls_name(&self) -> String {
        literal(&self.host).map_or_else(|| self.host.to_string(), |address| address.to_string())
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Whether it is a target only because the operator allows its host.
    pub(super) fn is_allowed(&self) -> bool {
        self.is_allowed
    }

    pub(super) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    pub(super) fn path(&self) -> &Uri {
        &self.path
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// The address that a host is, if it is not a name.
fn literal(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &[&str]) -> Allowed {
        hosts.iter().map(|host| host.parse::<AllowedHost>().unwrap()).collect()
    }

    fn parsed(url: &str, hosts: &[&str]) -> Result<String, InvalidTarget> {
        Target::parse(url, &allowed(hosts)).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn a_url_is_kept_as_the_url_standard_normalises_it() {
        for (url, expected) in [
            ("https://example.com", "https://example.com/"),
            ("https://EXAMPLE.com:443/a/../b?c=d", "https://example.com/b?c=d"),
            ("https://bücher.example:8443/ü", "https://xn--bcher-kva.example:8443/%C3%BC"),
            ("https://８.８.８.８/", "https://8.8.8.8/"),
            ("https://0x08080808/", "https://8.8.8.8/"),
            ("https://[2001:4860:4860:0:0::8888]/", "https://[2001:4860:4860::8888]/"),
            ("https://[::ffff:8.8.8.8]/", "https://[::ffff:808:808]/"),
            ("https://@example.com/", "https://example.com/"),
            (" https://example.com/ ", "https://example.com/"),
            (
                "https://example.com/a|b[^`]'\"{}?`|[]{}'^",
                "https://example.com/a|b[%5E%60]'%22%7B%7D?`|[]{}%27^",
            ),
        ] {
            assert_eq!(parsed(url, &[]).as_deref(), Ok(expected), "{url}");
            assert_eq!(parsed(expected, &[]).as_deref(), Ok(expected), "again");
        }
    }

    #[test]
    fn a_url_that_requests_may_not_go_to_is_refused() {
        use InvalidTarget::{Fragment, Malformed, NoHost, NotHttps, NotPublic, User};
        for (url, reason) in [
            ("", Malformed),
            ("example.com/hook", Malformed),
            ("https://", NoHost),
            ("https://?a", NoHost),
            ("https://a b/", Malformed),
            ("https://example.com:65536/", Malformed),
            ("https://1.2.3.4.5/", Malformed),
            ("https://[::1", Malformed),
            ("http://example.com/", NotHttps),
            ("http://127.0.0.1/", NotHttps),
            ("ftp://example.com/", NotHttps),
            ("wss://example.com/", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("unix:/run/docker.sock", NotHttps),
            ("https://user@example.com/", User),
            ("https://:password@example.com/", User),
            ("https://example.com/#", Fragment),
            ("https://example.com/#a", Fragment),
            ("https://127.0.0.1/", NotPublic),
            ("https://127.1/", NotPublic),
            ("https://0x7f.1/", NotPublic),
            ("https://2130706433/", NotPublic),
            ("https://0177.0.0.1/", NotPublic),
            ("https://127.0.0.1./", NotPublic),
            ("https://１２７.１/", NotPublic),
            ("https://①⑥⑨.254.169.254/", NotPublic),
            ("https://%31%32%37.1/", NotPublic),
            ("https://10.0.0.1:8443/", NotPublic),
            ("https://0/", NotPublic),
            ("https://[::1]/", NotPublic),
            ("https://[::]/", NotPublic),
            ("https://[::ffff:127.0.0.1]/", NotPublic),
            ("https://[64:ff9b::a00:1]/", NotPublic),
            ("https://[2002:7f00:1::]/", NotPublic),
            ("https://[fd00::1]/", NotPublic),
        ] {
            assert_eq!(parsed(url, &[]), Err(reason), "{url}");
        }
    }

    #[test]
    fn a_url_is_at_most_2048_bytes_as_it_is_given_and_as_it_is_kept() {
        const BEFORE: &str = "https://example.com/";
        let of = |bytes: usize| format!("{BEFORE}{}", "a".repeat(bytes - BEFORE.len()));
        assert!(parsed(&of(2048), &[]).is_ok());
        assert_eq!(parsed(&of(2049), &[]), Err(InvalidTarget::TooLong));
        let grows = format!("{BEFORE}{}", "ü".repeat(400));
        assert_eq!(parsed(&grows, &[]), Err(InvalidTarget::TooLong), "three bytes for each byte of ü");
    }

    #[test]
    fn an_allowed_host_is_exactly_that_host() {
        for (url, host, is_allowed) in [
            ("http://127.0.0.1:9000/hook", "127.0.0.1", true),
            ("http://127.1/", "127.0.0.1", true),
            ("http://127.0.0.1/", "0x7f.1", true),
            ("https://10.0.0.1/", "10.0.0.1", true),
            ("http://[::1]:9000/", "::1", true),
            ("http://[0::1]/", "[::1]", true),
            ("http://Hooks.internal/", "hooks.INTERNAL", true),
            ("http://bücher.example/", "xn--bcher-kva.example", true),
            ("http://a.hooks.internal/", "hooks.internal", false),
            ("http://hooks.internal./", "hooks.internal", false),
            ("http://hooks.internal/", "*.internal", false),
            ("http://127.0.0.2/", "127.0.0.1", false),
            ("https://[::ffff:127.0.0.1]/", "127.0.0.1", false),
            ("ftp://127.0.0.1/", "127.0.0.1", false),
            ("http://user@127.0.0.1/", "127.0.0.1", false),
        ] {
            assert_eq!(parsed(url, &[host]).is_ok(), is_allowed, "{url} {host}");
            assert!(parsed("https://10.1.1.1/", &[host]).is_err(), "{host}");
        }
    }

    #[test]
    fn what_is_not_a_host_cannot_be_allowed() {
        for text in
            ["", "127.0.0.1:80", "http://a", "a/b", "a b", "user@a", "[::1]:80", "::1%lo", "1.2.3.4.5"]
        {
            assert_eq!(text.parse::<AllowedHost>(), Err(InvalidHost), "{text}");
        }
    }

    #[test]
    fn every_address_of_a_name_must_be_public() {
        let (public, other, private) = (["8.8.8.8"], ["2606:4700::1111"], ["10.0.0.1"]);
        for (addresses, hosts, expected) in [
            (vec![], vec![], Err(TargetError::Unresolved)),
            (vec![], vec!["example.com"], Err(TargetError::Unresolved)),
            ([public, other].concat(), vec![], Ok(vec!["8.8.8.8:8443", "[2606:4700::1111]:8443"])),
            ([public, private].concat(), vec![], Err(TargetError::NotPublic)),
            ([private, public].concat(), vec![], Err(TargetError::NotPublic)),
            (private.to_vec(), vec![], Err(TargetError::NotPublic)),
            (private.to_vec(), vec!["example.com"], Ok(vec!["10.0.0.1:8443"])),
        ] {
            let target = Target::parse("https://example.com:8443/", &allowed(&hosts)).unwrap();
            let found = target.checked(addresses.iter().map(|address| address.parse().unwrap()).collect());
            let expected = expected.map(|all| all.iter().map(|address| address.parse().unwrap()).collect());
            assert_eq!(found, expected, "{addresses:?} {hosts:?}");
        }
    }

    #[actix_web::test]
    async fn names_are_those_of_this_machine() {
        let resolved = |url: &str, hosts: &[&str]| {
            let target = Target::parse(url, &allowed(hosts)).unwrap();
            async move { target.resolve().await }
        };
        assert_eq!(resolved("https://localhost/", &[]).await, Err(TargetError::NotPublic));
        assert!(resolved("https://localhost/", &["localhost"]).await.unwrap()[0].ip().is_loopback());
        assert_eq!(resolved("https://hooks.invalid/", &[]).await, Err(TargetError::Unresolved));
        assert_eq!(resolved("https://8.8.8.8/", &[]).await, Ok(vec!["8.8.8.8:443".parse().unwrap()]));
    }

    #[test]
    fn debug_shows_the_url_as_list_does() {
        let target = Target::parse("https://example.com/a", &allowed(&[])).unwrap();
        assert_eq!(format!("{target:?}"), r#""https://example.com/a""#);
    }
}
