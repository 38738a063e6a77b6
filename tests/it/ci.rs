//! What judges a change: the scripts, the workflows that call them in parts, and the recipes of the justfile.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::Value;

use crate::operations::repository;

fn text(file: &str) -> String {
    fs::read_to_string(repository(file)).unwrap()
}

/// What a command of the repository prints.
fn printed(command: &[&str]) -> String {
    let mut process = Command::new(command[0]);
    let output = process.args(&command[1..]).current_dir(repository("")).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The words of a list in the matrix of a job, sorted.
fn matrix(workflow: &str, job: &str, list: &str) -> Vec<String> {
    let workflow: Value = yaml_serde::from_str(&text(workflow)).unwrap();
    let values = workflow["jobs"][job]["strategy"]["matrix"][list].as_array().unwrap();
    let words = values.iter().flat_map(|value| value.as_str().unwrap().split(' '));
    let mut words: Vec<_> = words.map(str::to_owned).collect();
    words.sort();
    words
}

/// The parts of a script, sorted.
fn parts(script: &str) -> Vec<String> {
    let mut parts: Vec<_> = printed(&[script, "--parts"]).lines().map(str::to_owned).collect();
    assert!(parts.len() > 3, "{parts:?}");
    parts.sort();
    parts
}

#[test]
fn the_workflows_run_each_part_once() {
    assert_eq!(matrix(".github/workflows/ci.yml", "test", "parts"), parts("scripts/test"));
    assert_eq!(matrix(".github/workflows/nightly.yml", "nightly", "part"), parts(".ci/nightly"));
}

#[test]
fn the_run_lints_first_and_then_calls_the_command_of_readme() {
    let run = text(".ci/run");
    let commands: Vec<_> = run.lines().filter(|line| !line.starts_with('#')).collect();
    let place = |command: &str| {
        commands.iter().position(|line| *line == command).unwrap_or_else(|| panic!(".ci/run calls {command}"))
    };
    let places = [
        place("cargo fmt --check"),
        place("cargo clippy --locked --all-targets --all-features -- -D warnings"),
        place("scripts/test"),
    ];
    assert!(places.is_sorted(), "{places:?}");
    assert!(
        text("README.md").lines().any(|line| line.starts_with("scripts/test ")),
        "README has the command"
    );
    assert!(text("scripts/test").contains("cargo test --locked --all-features\n"));
}

#[test]
fn what_begins_as_a_script_can_be_executed() {
    let mut scripts = 0;
    for file in printed(&["git", "ls-files"]).lines() {
        let path = repository(file);
        let Ok(begin) = fs::read(&path) else { continue };
        if begin.starts_with(b"#!") {
            scripts += 1;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert!(mode & 0o111 == 0o111, "chmod +x {file}");
        }
    }
    assert!(scripts > 10, "the scripts are found");
}

#[test]
fn a_script_that_lacks_a_module_says_which_and_where_it_is_from() {
    let mut python = Command::new("python3");
    // Without `site`, Python finds its own modules only.
    let output =
        python.args(["-S", "scripts/postman_collection.py"]).current_dir(repository("")).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("needs PyYAML: apt-get install python3-yaml"), "{said}");
}

#[test]
fn each_recipe_calls_a_script_that_is_there() {
    let justfile = text("justfile");
    let mut scripts = 0;
    for line in justfile.lines().filter(|line| line.starts_with("    ")) {
        let program = line.trim().split(' ').next().unwrap();
        if program.contains('/') {
            scripts += 1;
            assert!(repository(program).is_file(), "{line}");
        }
    }
    assert!(scripts > 5, "the recipes are found");
}
