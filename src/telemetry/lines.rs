//! Where log lines go: to standard error, those of requests that are answered together in one go.
//!
//! A worker answers all requests that came together, one after the other. A system call for the line of each takes longer
//! than to write the line. So the first one has the lines of its thread gathered until the worker has been through
//! all of them. A warning or an error is written at once, after what was gathered.

use std::{
    cell::RefCell,
    io::{self, Stderr, Write},
    marker::PhantomData,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes are gathered at most before they are written.
const GATHERED_BYTES_MAX: usize = 32 * 1024;

thread_local! {
    /// The lines of this thread that are not written yet, if they are gathered.
    static GATHERED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Gathers the lines of this thread until it is dropped.
pub struct Gathering(PhantomData<*const ()>);

/// Begins to gather the lines of this thread; `None` if they are gathered already.
#[must_use]
pub fn gather_lines() -> Option<Gathering> {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.is_none().then(|| {
            *gathered = Some(Vec::new());
            Gathering(PhantomData)
        })
    })
}

impl Drop for Gathering {
    fn drop(&mut self) {
        // The thread may be about to end.
        let gathered = GATHERED.try_with(RefCell::take).ok().flatten();
        write(&gathered.unwrap_or_default());
    }
}

/// Nobody is told if standard error does not take them.
fn write(lines: &[u8]) {
    if !lines.is_empty() {
        drop(io::stderr().write_all(lines));
    }
}

/// Makes the writers of the log.
pub(super) struct Lines;

/// Writes one line.
pub(super) enum Line {
    /// With others, later.
    Gathered,
    /// At once.
    Now(Stderr),
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line::Now(io::stderr())
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        let is_urgent = *event.level() <= Level::WARN;
        let may_wait = GATHERED.try_with(|gathered| match &mut *gathered.borrow_mut() {
            Some(lines) if is_urgent || lines.len() >= GATHERED_BYTES_MAX => {
                write(lines);
                lines.clear();
                !is_urgent
            }
            Some(_) => true,
            None => false,
        });
        if may_wait.unwrap_or_default() { Line::Gathered } else { self.make_writer() }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gathered => {
                GATHERED.with_borrow_mut(|gathered| gathered.get_or_insert_default().write(line))
            }
            Self::Now(stderr) => stderr.write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gathered => Ok(()),
            Self::Now(stderr) => stderr.flush(),
        }
    }
}
