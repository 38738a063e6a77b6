//! How far long work has come, on standard error: a bar on a terminal, and a line a second elsewhere.

use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// How often a line is printed where there is no terminal.
const LINE_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Progress {
    what: &'static str,
    done: u64,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    /// Work whose size is not known. `what` follows the number, such as `records were counted`.
    pub(super) fn start(what: &'static str) -> Self {
        Self::new(what, "{spinner} {human_pos} {msg} ({per_sec}, {elapsed})", ProgressBar::new_spinner)
    }

    /// Work of about so many bytes.
    pub(super) fn of_bytes(total: u64, what: &'static str) -> Self {
        let template = "{bar:40} {bytes} of {total_bytes} {msg} ({bytes_per_sec}, {eta})";
        Self::new(what, template, || ProgressBar::new(total))
    }

    fn new(what: &'static str, template: &str, bar: impl FnOnce() -> ProgressBar) -> Self {
        let shown = if stderr().is_terminal() {
            let bar = bar().with_message(what);
            let style = ProgressStyle::with_template(template);
            Shown::Bar(style.map_or(bar.clone(), |style| bar.with_style(style)))
        } else {
            Shown::Lines { last: Instant::now() }
        };
        Self { what, done: 0, shown }
    }

    pub(super) fn add(&mut self, number: usize) {
        self.set(self.done + number as u64);
    }

    /// So much is done by now.
    pub(super) fn set(&mut self, done: u64) {
        self.done = done;
        match &mut self.shown {
            Shown::Bar(bar) => bar.set_position(self.done),
            Shown::Lines { last } if last.elapsed() >= LINE_PAUSE => {
                *last = Instant::now();
                output::note(format_args!("{} {}", self.done, self.what));
            }
            Shown::Lines { .. } => {}
        }
    }

    /// Prints a line on standard error, besides the bar.
    pub(super) fn note(&self, line: impl std::fmt::Display) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| output::note(line)),
            Shown::Lines { .. } => output::note(line),
        }
    }

    pub(super) fn end(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}
