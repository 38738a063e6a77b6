//! What no compiler checks: imports point one way, and files stay small.

use std::{
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 450;

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = directories.iter().flat_map(|directory| sources(directory));
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .chain(below)
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The modules of this crate that a file names in `crate::…` paths.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('{') {
            // The top level of the list alone: `{a::{b, c}, d}` names a and d.
            let (mut depth, mut word) = (0, String::new());
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(character),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_owned());
        }
    }
    let first = |path: &String| {
        path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    found.iter().map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_point_one_way() {
    const LEAVES: [&str; 3] = ["account", "clock", "random"];
    for (module, allowed) in [
        ("model", vec![]),
        ("signature", vec!["account"]),
        ("contract", vec!["model"]),
        ("store", vec!["account", "clock", "random", "model", "telemetry"]),
        ("registry.rs", vec!["account", "signature", "store", "telemetry"]),
        (
            "api",
            [&LEAVES[..], &["api", "contract", "model", "registry", "signature", "store", "telemetry"]]
                .concat(),
        ),
        (
            "cli",
            [&LEAVES[..], &["api", "contract", "model", "registry", "signature", "store", "telemetry"]]
                .concat(),
        ),
    ] {
        let path = root().join("src").join(module);
        for file in if path.is_dir() { sources(&path) } else { vec![path] } {
            for import in imports(&fs::read_to_string(&file).unwrap()) {
                assert!(allowed.contains(&import.as_str()), "{} may not import {import}", file.display());
            }
        }
    }
}

#[test]
fn files_stay_small() {
    for file in sources(&root().join("src")).into_iter().chain(sources(&root().join("tests"))) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines, more than {LINES_MAX}", file.display());
    }
}
