//! How far long work has come, on standard error: a bar on a terminal, and a line a second elsewhere.

use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// How often a line is printed where there is no terminal.
const LINE_PAUSE: Duration = Duration::from_secs(1);

/// The progress of one piece of work, whose size is not known.
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
    /// `what` follows the number, such as `records were counted`.
    pub(super) fn start(what: &'static str) -> Self {
        let shown = if stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {human_pos} {msg} ({per_sec}, {elapsed})");
            let bar = ProgressBar::new_spinner().with_message(what);
            Shown::Bar(style.map_or(bar.clone(), |style| bar.with_style(style)))
        } else {
            Shown::Lines { last: Instant::now() }
        };
        Self { what, done: 0, shown }
    }

    pub(super) fn add(&mut self, number: usize) {
        self.done += number as u64;
        match &mut self.shown {
            Shown::Bar(bar) => bar.set_position(self.done),
            Shown::Lines { last } if last.elapsed() >= LINE_PAUSE => {
                *last = Instant::now();
                output::note(format_args!("{} {}", self.done, self.what));
            }
            Shown::Lines { .. } => {}
        }
    }

    pub(super) fn end(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}
