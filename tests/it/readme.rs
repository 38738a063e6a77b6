//! README and the page of the options, held against the code, and the commands of README.

use std::{fs, process::Command};

use clap::CommandFactory as _;
use customers_api::{cli::Cli, contract};

use crate::operations::{Place, commands, repository, sections};

const README: &str = include_str!("../../README.md");

const README_LINES_MAX: usize = 120;

#[test]
fn readme_stays_short() {
    let lines = README.lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, more than {README_LINES_MAX}");
}

#[test]
fn every_file_that_readme_links_to_is_there() {
    let targets: Vec<_> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(targets.len() > 10, "the links are found");
    // `../../` is the page of the repository on its host.
    for target in targets.iter().filter(|target| !target.contains("://") && !target.starts_with("../")) {
        assert!(repository(target).exists(), "{target}");
    }
}

#[actix_web::test]
async fn the_commands_of_readme_run() {
    let script: String = ["Try it", "A signed request"].map(section).concat();
    let script = script.replace("cargo run --release -- ", "customers-api ");
    Place::new().run(&script).unwrap_or_else(|output| panic!("{output}"));
}

/// The commands of a section, which may not be empty.
fn section(heading: &str) -> String {
    let (_, text) = sections(README).into_iter().find(|(name, _)| *name == heading).unwrap();
    let commands = commands(text);
    assert!(!commands.is_empty(), "{heading}");
    commands
}

#[test]
fn the_page_of_the_options_has_each_option_of_serve_with_its_variable_and_default() {
    let page = include_str!("../../docs/configuration.md");
    let rows: Vec<Vec<_>> = page
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .map(|line| line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect())
        .collect();
    let command = Cli::command();
    for argument in command.find_subcommand("serve").unwrap().get_arguments() {
        let variable = argument.get_env().and_then(|name| name.to_str());
        let Some((variable, long)) = variable.zip(argument.get_long()) else { continue };
        let (option, variable) = (format!("`--{long}`"), format!("`{variable}`"));
        let row = rows.iter().find(|row| row[0].contains(&option));
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md has a row for {option}"));
        assert!(row[1].contains(&variable), "{option}: {variable}");
        if let Some(default) = argument.get_default_values().first().and_then(|value| value.to_str())
            && argument.get_action().takes_values()
        {
            assert_eq!(row[2], format!("`{default}`"), "{option}");
        }
    }
}

#[test]
fn the_chart_and_the_table_of_the_performance_show_the_figures() {
    let checked = Command::new(repository("scripts/performance")).arg("check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// A file of the repository.
fn file(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(contract::document()["info"]["version"], version, "openapi.yaml");
    let changelog = file("CHANGELOG.md");
    let released: Vec<_> = changelog.lines().filter(|line| line.starts_with("## [")).collect();
    let newest = released.iter().find(|line| !line.contains("Unreleased")).unwrap();
    assert!(newest.starts_with(&format!("## [{version}] - ")), "CHANGELOG.md: {newest}");
}

#[test]
fn the_oldest_rust_is_the_same_everywhere() {
    let minimum = env!("CARGO_PKG_RUST_VERSION");
    assert!(README.contains(&format!("rust-{minimum}_or_newer")), "the badge says {minimum}");
    assert!(README.contains(&format!("Rust {minimum} or newer")), "README says {minimum}");
    let workflow = file(".github/workflows/ci.yml");
    assert!(workflow.contains(&format!("rustup toolchain install {minimum} ")), "CI builds with {minimum}");
}
