//! The contract is exact: the models accept what it accepts, refuse what it refuses, and say where.
//!
//! The contract is read here a second time, by other code than the service's (`oracle`). What is tried is made up from
//! its schemas, so that a new field or bound is tried as soon as it is written down. `PROPTEST_CASES=1000000` tries
//! harder, `PROPTEST_RNG_SEED` tries the same again.

mod bodies;
mod change;
mod http;
mod older;
mod oracle;
mod parameters;
mod round_trip;
mod spelling;
mod valid;
mod webhook;

use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::{Config, TestCaseError, TestRunner},
};

/// How many values may be thrown away for each that is tried: a strategy that makes so few is broken.
const REJECTS_MAX: u32 = 100;

/// How many cases PROPTEST_CASES asks for.
fn asked() -> Option<u32> {
    std::env::var("PROPTEST_CASES").ok().map(|cases| cases.parse().unwrap())
}

/// Tries a property, and finds the smallest case that breaks it.
#[track_caller]
fn hold<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    // A case that broke a property once is written into `bounds`, where everybody can read it.
    let cases = asked().unwrap_or(cases);
    // Counted over the whole run, so the limit grows with it.
    let max_local_rejects = cases.saturating_mul(REJECTS_MAX);
    let config = Config { cases, max_local_rejects, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, property);
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

/// Cases for what is too slow to be tried as often: a hundredth of what is asked for.
fn samples<S: Strategy>(cases: u32, strategy: &S) -> impl Iterator<Item = S::Value> {
    let cases = asked().map_or(cases, |asked| cases.max(asked / 100));
    let mut runner = TestRunner::default();
    (0..cases).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}
