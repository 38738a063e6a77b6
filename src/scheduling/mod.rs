//! Has requests that came together served together. Nothing outside of this module yields, or decides who is woken when.
//!
//! - [`yielding`]: a request on SQLite continues when those that came with it are verified, and answers that were read leave
//!   together. Without it: PUT (ES256) 0.93 (0.87 to 0.94) of the rate, GET 0.94 (0.91 to 1.02).
//! - [`queue`]: the thread that writes is woken when all ready tasks of a worker have added their writes. Without it:
//!   PUT (ES384) on Postgres 0.82 (0.80 to 0.84).
//!
//! `docs/adr/0011` has how this was measured, and what went.

pub(crate) mod queue;
pub(crate) mod yielding;
