//! Ports for programs that are told where to listen.

use std::{
    fs,
    net::TcpListener,
    process,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A port of loopback that stays free until the program listens there, also between two of its runs. The system never gives
/// it to a socket that names no port, and no other caller gets it.
pub(crate) fn reserved_port() -> u16 {
    static PORTS: LazyLock<Vec<u16>> = LazyLock::new(named_ports);
    // Other suites on this machine begin elsewhere.
    static NEXT: LazyLock<AtomicUsize> = LazyLock::new(|| AtomicUsize::new(process::id() as usize * 97));
    let mut candidates = (0..PORTS.len()).map(|_| PORTS[NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len()]);
    candidates.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap()
}

/// Those that a socket gets only if it names them.
fn named_ports() -> Vec<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let [first, last] =
        range.split_whitespace().map(|bound| bound.parse::<u16>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{range}");
    };
    let ports: Vec<_> = (10_000..=u16::MAX).filter(|port| !(first..=last).contains(port)).collect();
    assert!(!ports.is_empty(), "all ports may be given to sockets that name none: {range}");
    ports
}

#[test]
fn no_two_callers_get_the_same_port_and_nobody_gets_it_who_names_none() {
    let ports: Vec<_> = (0..100).map(|_| reserved_port()).collect();
    let unnamed: Vec<_> = (0..1_000).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    for (index, port) in ports.iter().enumerate() {
        assert!(!ports[..index].contains(port), "{port} twice");
        assert!(unnamed.iter().all(|listener| listener.local_addr().unwrap().port() != *port), "{port}");
    }
}
