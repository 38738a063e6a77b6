//! Standard output and standard error. They may be closed or full, which is never a reason to panic.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write as _, stderr, stdout},
};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(super) fn print(line: impl Display) -> anyhow::Result<()> {
    print_raw(&format!("{line}\n"))
}

/// Prints a text as it is.
pub(super) fn print_raw(text: &str) -> anyhow::Result<()> {
    print_bytes(text.as_bytes()).map(drop)
}

/// Prints bytes as they are. False if the reader went away, so that more of them are useless.
pub(super) fn print_bytes(bytes: &[u8]) -> anyhow::Result<bool> {
    let mut out = stdout().lock();
    is_taken(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Whether somebody may still read standard output, although nothing is printed.
pub(super) fn is_read() -> anyhow::Result<bool> {
    let out = stdout();
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).context("standard output cannot be looked at")?;
    Ok(!polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Prints what was done. If that fails, the error says that it was done all the same.
pub(super) fn report(done: &str) -> anyhow::Result<()> {
    print(done).with_context(|| done.to_owned())
}

/// Prints help and versions on standard output, and misuse on standard error; with colours on a terminal.
pub(super) fn explain(error: &clap::Error) -> anyhow::Result<()> {
    is_taken(error.print().and_then(|()| stdout().flush())).map(drop)
}

/// Prints a line on standard error. If that fails, the failure cannot be reported.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(stderr(), "{}", line.to_string().replace('\n', " "));
}

/// A reader such as `head` may go away early, which is not a failure.
fn is_taken(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot write to standard output"),
    }
}
