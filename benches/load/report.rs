//! What was measured, as a table, beside what was to be reached.

use std::{fs, path::Path, time::Duration};

use crate::{case::Case, client::Answers, options::Options};

const MICROS_PER_SECOND: f64 = 1e6;
const MIB: f64 = 1024.0 * 1024.0;

/// One case over so many connections.
pub(crate) struct Figure {
    pub(crate) case: Case,
    /// The build that was measured.
    pub(crate) side: &'static str,
    pub(crate) connections: usize,
    /// Raw verifications a second of the server's core, in between.
    pub(crate) floor: f64,
    /// Rows a second that SQLite alone makes durable, or 0 where that says nothing.
    pub(crate) upserts: f64,
    pub(crate) answers: Answers,
    /// The server's CPU time, in seconds.
    pub(crate) cpu: f64,
    /// How many customers were put, and found in the database.
    pub(crate) rows: usize,
    pub(crate) idle_mib: f64,
    pub(crate) peak_mib: f64,
    pub(crate) ready: Duration,
    pub(crate) is_postgres: bool,
    /// In each round, how many times as many requests the first side answered.
    pub(crate) times: Vec<f64>,
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.answers.rate() / self.floor
    }

    #[allow(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    fn cpu_micros(&self) -> f64 {
        self.cpu * MICROS_PER_SECOND / self.answers.latencies.len() as f64
    }

    #[allow(clippy::cast_precision_loss, reason = "microseconds of a minute")]
    fn millis(&self, quantile: f64) -> f64 {
        self.answers.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Everything that was measured.
pub(crate) struct Report {
    histograms: bool,
    commit_micros: f64,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(options: &Options, commit_micros: f64) -> Self {
        let Options { pin, customers, identities, keys, plain, histograms, .. } = options;
        let cores = if *pin { "the server on one core, the load on another" } else { "not pinned" };
        let identities = identities.map_or("1 to 3".to_owned(), |count| count.to_string());
        let records = if *plain { "plain" } else { "sealed" };
        println!(
            "{cores}; {customers} customers, {identities} identities in a body, {keys} keys, {records} records"
        );
        println!(
            "{:<23}{:<6}{:>6}{:>10}{:>10}{:>7}{:>9}{:>9}{:>9}{:>9}{:>7}{:>9}{:>9}{:>10}",
            "case",
            "build",
            "conns",
            "req/s",
            "floor/s",
            "ratio",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "errors",
            "CPU us",
            "peak MiB",
            "rows"
        );
        Self { histograms: *histograms, commit_micros, figures: Vec::new() }
    }

    pub(crate) fn add(&mut self, figure: Figure) {
        println!(
            "{:<23}{:<6}{:>6}{:>10.0}{:>10.0}{:>7.3}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>7}{:>9.1}{:>9.1}{:>10}",
            figure.case.name(),
            figure.side,
            figure.connections,
            figure.answers.rate(),
            figure.floor,
            figure.ratio(),
            figure.millis(0.5),
            figure.millis(0.99),
            figure.millis(0.999),
            figure.millis(1.0),
            figure.answers.errors(|status| figure.case.expects(status)),
            figure.cpu_micros(),
            figure.peak_mib,
            figure.rows,
        );
        if figure.upserts > 0.0 {
            println!(
                "  SQLite alone: {:.0} rows/s, of which {:.2}",
                figure.upserts,
                figure.answers.rate() / figure.upserts
            );
        }
        if self.figures.last().is_some_and(|other| is_compared(other, &figure)) {
            let mut times = figure.times.clone();
            times.sort_by(f64::total_cmp);
            let [least, .., most] = times[..] else { return };
            let middle = times[times.len() / 2];
            println!(
                "  new / {}: {middle:.3} ({least:.3} to {most:.3} over {} rounds)",
                figure.side,
                times.len()
            );
        }
        if self.histograms {
            histogram(&figure);
        }
        self.figures.push(figure);
    }

    /// How many requests a second a case did over the most connections.
    pub(crate) fn rate(&self, case: Case) -> Option<f64> {
        self.most(case).map(|figure| figure.answers.rate())
    }

    fn most(&self, case: Case) -> Option<&Figure> {
        let first = self.figures.first().map(|figure| figure.side);
        let figures = self.figures.iter().filter(|figure| Some(figure.side) == first && figure.case == case);
        figures.max_by_key(|figure| figure.connections)
    }

    /// What was to be reached, and what was.
    pub(crate) fn finish(&self, server: &Path) -> anyhow::Result<()> {
        println!("\n{:<66}{:>10}{:>10}", "target", "is to be", "is");
        for case in Case::SHORT {
            let figure = self.most(case).filter(|figure| figure.connections > 1);
            if let Some((figure, (sqlite, postgres))) = figure.zip(case.target()) {
                let target = if figure.is_postgres { postgres } else { sqlite };
                verdict(&format!("{}: part of the floor", case.name()), ">=", target, figure.ratio());
            }
        }
        if let (Some(group), Some(alone)) = (self.rate(Case::PutUnsigned), self.rate(Case::PutUnsignedAlone))
        {
            verdict("put-unsigned: times as many as with one transaction for each", ">=", 8.0, group / alone);
        }
        if let Some(figure) = self.most(Case::PutUnsigned) {
            if figure.is_postgres {
                verdict("put-unsigned: requests a second", ">=", 25_000.0, figure.answers.rate());
            } else {
                let part = figure.answers.rate() / figure.upserts;
                verdict("put-unsigned: part of what SQLite alone does", ">=", 0.55, part);
            }
        }
        if let Some(half) = self.most(Case::PutEs384Half) {
            verdict("put-es384 at half of the most: p99 in ms", "<", 10.0, half.millis(0.99));
        }
        let single =
            self.figures.iter().find(|figure| figure.case == Case::PutEs384 && figure.connections == 1);
        if let Some(single) = single.filter(|figure| !figure.is_postgres) {
            let bound = (single.cpu_micros() + self.commit_micros) / 1e3;
            verdict(
                "put-es384, a single connection: p50 in ms; CPU time and a commit",
                "<",
                bound,
                single.millis(0.5),
            );
        }
        if self.figures.is_empty() {
            return Ok(());
        }
        let most = |of: fn(&Figure) -> f64| self.figures.iter().map(of).fold(0.0, f64::max);
        verdict("memory idle, in MiB", "<", 20.0, most(|figure| figure.idle_mib));
        verdict("memory at its peak, in MiB", "<", 64.0, most(|figure| figure.peak_mib));
        verdict(
            "ready after ms, with an existing database",
            "<",
            50.0,
            most(|figure| figure.ready.as_secs_f64() * 1e3),
        );
        #[allow(clippy::cast_precision_loss, reason = "a file of some megabytes")]
        verdict("binary, in MiB", "<", 22.0, fs::metadata(server)?.len() as f64 / MIB);
        println!("a commit of one row takes {:.0} us on this disk", self.commit_micros);
        Ok(())
    }
}

fn verdict(what: &str, relation: &str, target: f64, is: f64) {
    let holds = if relation == "<" { is < target } else { is >= target };
    let mark = if holds { "" } else { "  MISSED" };
    println!("{what:<66}{:>10}{is:>10.2}{mark}", format!("{relation} {target:.2}"));
}

/// Whether two figures are of one case.
fn is_compared(one: &Figure, other: &Figure) -> bool {
    (one.case, one.connections) == (other.case, other.connections) && one.side != other.side
}

/// A bar for each power of two of microseconds.
fn histogram(figure: &Figure) {
    const BAR_CHARS: u64 = 60;
    let latencies = &figure.answers.latencies;
    for step in latencies.iter_log(1, 2.0).filter(|step| step.count_since_last_iteration() > 0) {
        let count = step.count_since_last_iteration();
        let bar = usize::try_from((count * BAR_CHARS).div_ceil(latencies.len())).unwrap_or_default();
        println!("  <= {:>9} us {count:>8} {}", step.value_iterated_to(), "#".repeat(bar));
    }
}
