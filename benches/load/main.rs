//! The load test: the real binary, driven over real connections, measured against what it cannot do without.
//!
//! Requests are made and signed before the clock starts; ids are in no order, as callers send them. A figure is printed as a
//! ratio to its floor, the raw verifications that the same core does in a second, because a ratio means the same on every
//! machine. What is measured is checked, too: every status is the expected one, and every customer that was put is in the
//! database.
//!
//! `cargo bench --bench load -- --help` says what can be asked for; docs/performance.md says what came of it.

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

mod bare;
mod case;
#[path = "../../tests/it/support/certificates.rs"]
#[allow(clippy::unwrap_used, reason = "a machine without openssl cannot measure TLS")]
mod certificates;
mod client;
mod customer;
mod dice;
mod flood;
mod floor;
mod ids;
mod options;
mod process;
mod report;
mod requests;
mod run;
mod serve;
mod side;
mod sqlite;
mod tls;
mod ungrouped;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// That of the product, because this program is a server, too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.split_first() {
        Some((_, [first, arguments @ ..])) if first == ungrouped::ARGUMENT => ungrouped::serve(arguments),
        Some((_, [first, arguments @ ..])) if first == bare::ARGUMENT => bare::serve(arguments),
        _ => run::run(&options::Options::parse()),
    }
}
