//! `docs/your-own-api.md` and its patches. `scripts/your-own-api` also runs the tests after each patch.

use std::{fs, path::Path, process::Command};

const PAGE: &str = include_str!("../../docs/your-own-api.md");

const STEPS: [&str; 3] = ["01-member", "02-operation", "03-resource"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join("docs/your-own-api").join(file)).unwrap()
}

#[test]
fn the_patches_apply_one_after_another() {
    let script = root().join("scripts/your-own-api");
    let checked = Command::new(script).arg("--check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_page_shows_the_patches_and_what_the_tests_say() {
    for step in STEPS {
        assert!(PAGE.contains(&format!("your-own-api/{step}.patch")), "the page links {step}.patch");
        for line in read(&format!("{step}.expected")).lines() {
            assert!(PAGE.contains(line), "the page lacks what a test says: {line}");
        }
    }
    let patches: Vec<_> = STEPS.iter().map(|step| read(&format!("{step}.patch"))).collect();
    for block in PAGE.split("```diff\n").skip(1) {
        let lines = block.split("\n```").next().unwrap().lines();
        for line in lines.filter(|line| !line.starts_with("@@")) {
            assert!(
                patches.iter().any(|patch| patch.lines().any(|other| other == line)),
                "no patch has {line}"
            );
        }
    }
}
