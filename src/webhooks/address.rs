//! Which addresses are public: those that the IANA registries give to the Internet, and not to a special purpose.
//!
//! Blocks for one special purpose are not public even where IANA calls them reachable: no receiver of webhooks is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 for a special purpose, and the length of their prefixes.
const SPECIAL_V4: [(Ipv4Addr, u32); 19] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::BROADCAST, 32),
];

/// The only block of IPv6 from which IANA gives addresses to the Internet.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks of it for a special purpose.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Protocols of the IETF, such as Teredo (2001::/32).
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// 6to4: the IPv4 address comes after the prefix.
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// The IPv4 address is the end: IPv4-mapped, and NAT64.
const IPV4_AT_END: [(Ipv6Addr, u32); 2] =
    [(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)];

/// Whether an address is on the Internet for everybody. An IPv6 address that leads to an IPv4 address is judged by that one.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|(block, prefix)| (address.to_bits() ^ block.to_bits()) >> (32 - prefix) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_in =
        |(block, prefix): (Ipv6Addr, u32)| (address.to_bits() ^ block.to_bits()) >> (128 - prefix) == 0;
    let [_, a, b, .., c, d] = address.segments();
    if IPV4_AT_END.into_iter().any(is_in) {
        is_public_v4(ipv4(c, d))
    } else if is_in(SIX_TO_FOUR) {
        is_public_v4(ipv4(a, b))
    } else {
        is_in(GLOBAL_UNICAST) && !SPECIAL_V6.into_iter().any(is_in)
    }
}

fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each block from its first to its last address, and those beside it that are public.
    const BLOCKS: [(&str, &str, &str, &str, &str); 20] = [
        ("this network", "", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
        ("private", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        ("shared", "100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
        ("loopback", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
        ("link-local", "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
        ("private", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("IETF protocols", "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("documentation", "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("AS112", "192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
        ("AMT", "192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"),
        ("6to4 relays", "192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("private", "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
        ("AS112", "192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
        ("benchmarks", "198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
        ("documentation", "198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
        ("documentation", "203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
        ("multicast to broadcast", "223.255.255.255", "224.0.0.0", "255.255.255.255", ""),
        ("IETF protocols", "2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::"),
        ("documentation", "2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::ffff", "2001:db9::"),
        ("AS112", "2620:4f:7fff:ffff::", "2620:4f:8000::", "2620:4f:8000:ffff::", "2620:4f:8001::"),
    ];

    #[track_caller]
    fn check(what: &str, address: &str, expected: bool) {
        assert_eq!(is_public(address.parse().unwrap()), expected, "{what}: {address}");
    }

    #[test]
    fn a_block_for_a_special_purpose_is_not_public_from_its_first_address_to_its_last() {
        for (what, before, first, last, after) in BLOCKS {
            for (address, expected) in [(before, true), (first, false), (last, false), (after, true)] {
                if !address.is_empty() {
                    check(what, address, expected);
                }
            }
        }
    }

    #[test]
    fn of_ipv6_only_global_unicast_is_public() {
        for (what, address, expected) in [
            ("unspecified", "::", false),
            ("loopback", "::1", false),
            ("IPv4-compatible", "::8.8.8.8", false),
            ("IPv4-translated", "::ffff:0:808:808", false),
            ("local NAT64, first", "64:ff9b:1::", false),
            ("local NAT64, last", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false),
            ("beside NAT64", "64:ff9b::1:808:808", false),
            ("discard", "100::1", false),
            ("dummy", "100:0:0:1::1", false),
            ("before global unicast", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("its first", "2000::", true),
            ("Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", false),
            ("benchmarks", "2001:2::1", false),
            ("ORCHID", "2001:20::1", false),
            ("a name server", "2001:4860:4860::8888", true),
            ("a name server", "2606:4700:4700::1111", true),
            ("before documentation", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("documentation, first", "3fff::", false),
            ("documentation, last", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("after documentation", "3fff:1000::", true),
            ("its last", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("after global unicast", "4000::", false),
            ("segment routing", "5f00::1", false),
            ("unique local, first", "fc00::", false),
            ("unique local, last", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("link-local, first", "fe80::", false),
            ("link-local, last", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("site-local, first", "fec0::", false),
            ("site-local, last", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("multicast, first", "ff00::", false),
            ("multicast, last", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ] {
            check(what, address, expected);
        }
    }

    #[test]
    fn an_address_that_leads_to_ipv4_is_judged_by_that() {
        for (address, expected) in [
            ("::ffff:8.8.8.8", true),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::192.0.2.1", false),
            ("2002:808:808::1", true),
            ("2002:7f00:1::1", false),
            ("2002:c0a8:101::", false),
            ("2002:0:808::808:808", false),
        ] {
            check("IPv4 inside", address, expected);
        }
    }
}
