//! Where to listen.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    str::FromStr,
};

use derive_more::Display;

/// An address or the name of a host, and a port.
#[derive(Debug, Display, Clone, PartialEq, Eq)]
pub(super) struct Listen(String);

/// Why a text is not a [`Listen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid socket address: must be ADDRESS:PORT or HOST:PORT, such as 127.0.0.1:8080 or localhost:8080"
)]
pub(super) struct InvalidListen;

impl Listen {
    /// The address. Of a host with several it is the first of IPv4, or else the first.
    pub(super) fn resolve(&self) -> io::Result<SocketAddr> {
        let addresses: Vec<SocketAddr> = self.0.to_socket_addrs()?.collect();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        let is_port =
            |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
        let is_host_and_port =
            || text.rsplit_once(':').is_some_and(|(name, port)| is_host(name) && is_port(port));
        let is_valid = text.parse::<SocketAddr>().is_ok() || is_host_and_port();
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidListen) }
    }
}

/// Whether a text is a host's name. A name that ends in a number is refused: some resolvers take `0` or `127.1` for
/// an address that was not written.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(letters)
    };
    let is_number = |label: &str| {
        let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")).unwrap_or(label);
        digits.is_empty()
            || digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits.len() < label.len()
            || label.bytes().all(|byte| byte.is_ascii_digit())
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.parse::<IpAddr>().is_err() && name.split('.').all(is_label) && !is_number(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_or_an_address_with_a_port_is_a_place_to_listen() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:0",
            "localhost:8080",
            "api.example:1",
            "a-b_c:65535",
            "3com.example.:80",
        ] {
            assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()).as_deref(), Ok(text));
        }
        assert!("localhost:8080".parse::<Listen>().is_ok_and(|listen| {
            listen.resolve().is_ok_and(|address| address.ip().is_loopback() && address.port() == 8080)
        }));
    }

    #[test]
    fn what_a_resolver_might_take_for_another_address_is_refused() {
        for text in [
            "",
            "localhost",
            "8080",
            ":8080",
            "localhost:",
            "localhost:+80",
            "localhost:65536",
            "localhost:http",
            "0:80",
            "127.1:80",
            "0x7f000001:80",
            "256.0.0.1:80",
            "::1:80",
            "*:80",
            "a..b:80",
            "http://localhost:80",
            "a b:80",
            "localhost:80 ",
            "user@localhost:80",
        ] {
            assert_eq!(text.parse::<Listen>(), Err(InvalidListen), "{text}");
        }
    }
}
