//! The text that Prometheus reads.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

/// The text of `/metrics`.
pub(super) struct Scrape(pub(super) String);

impl Scrape {
    /// Each series with its value.
    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap())
    }

    /// The series of this name, each with its value.
    pub(super) fn series<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let name = name.to_owned();
        self.all().filter(move |(series, _)| series.split('{').next() == Some(name.as_str()))
    }

    /// The value of a series, whose labels may be in any order.
    pub(super) fn find(&self, series: &str) -> Option<&str> {
        self.all().find(|(each, _)| parts(each) == parts(series)).map(|(_, value)| value)
    }

    #[track_caller]
    fn text(&self, series: &str) -> &str {
        self.find(series).unwrap_or_else(|| panic!("{series} is not in:\n{}", self.0))
    }

    #[track_caller]
    pub(super) fn value(&self, series: &str) -> f64 {
        self.text(series).parse().unwrap()
    }

    /// A value that is a whole number.
    #[track_caller]
    pub(super) fn count(&self, series: &str) -> u64 {
        self.text(series).parse().unwrap()
    }

    /// All series, without their values.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.all().map(|(series, _)| series).collect()
    }

    /// The names of all metrics: what `# TYPE` says, and the series of histograms.
    pub(super) fn metrics(&self) -> BTreeSet<String> {
        let types = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let types = types.map(|line| line.split(' ').next().unwrap().to_owned());
        types.chain(self.all().map(|(series, _)| series.split('{').next().unwrap().to_owned())).collect()
    }
}

/// The name of a series and its labels.
fn parts(series: &str) -> (&str, BTreeSet<&str>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    (name, labels.trim_end_matches('}').split(',').collect())
}

/// Runs promtool, which must find nothing wrong.
#[track_caller]
pub(super) fn promtool(arguments: &[&str], input: &str) -> String {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is in Debian's package prometheus");
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}
