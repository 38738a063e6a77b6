//! Has requests that came together served together. Nothing outside of this module yields, or decides who is woken when.
//!
//! - [`yielding`]: a request on SQLite continues when those that came with it are verified, and answers that were read leave
//!   together.
//! - [`queue`]: the thread that writes is woken when all ready tasks of a worker have added their writes, or when there are
//!   enough.
//! - [`answers`]: a group's callers on one worker are told by one of them.
//!
//! All of it together, on and off in turn, 64 connections on SQLite, the middle one of five rounds: PUT (ES384) 1.57 times as
//! fast (1.26 to 1.60), GET 1.16 (1.05 to 1.22), a list 1.02 (0.86 to 1.11), an unsigned PUT 0.89 (0.09 to 1.12).
//! `docs/adr/0011` has what went.

pub(crate) mod answers;
pub(crate) mod queue;
pub(crate) mod yielding;
