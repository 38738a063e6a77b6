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

/// Whether the patches fit a tree, and what `scripts/your-own-api` says.
fn check(tree: &Path) -> (bool, String) {
    let checked = Command::new(tree.join("scripts/your-own-api")).arg("--check").output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    (checked.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn this_tree_has_each_change_or_its_patch_applies() {
    let (is_fit, said) = check(root());
    assert!(is_fit && said.starts_with("this tree has "), "{said}");
}

#[test]
fn a_tree_with_the_first_change_is_known_and_one_that_fits_no_patch_is_told_so() {
    let copy = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euc", script, "bash"]).arg(copy.path()).current_dir(root());
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(". scripts/tools; copy_tree \"$1\"; git -C \"$1\" init --quiet");
    let (_, before) = check(copy.path());
    if before.starts_with("this tree has 0 ") {
        run("git -C \"$1\" apply docs/your-own-api/01-member.patch");
        let (is_fit, said) = check(copy.path());
        assert!(is_fit && said.starts_with("this tree has 1 of 3 changes"), "{said}");
    }

    run("sed -i '/primary_residence/d' \"$1/src/model/customer_input.rs\"");
    let (is_fit, said) = check(copy.path());
    assert!(!is_fit && said.contains("01-member.patch no longer applies"), "{said}");
}

/// The lines of a patch without white space: where lines break depends on how long names are, and `scripts/rename` changes them.
fn dense(lines: &str) -> String {
    let lines = lines.lines().filter_map(|line| line.get(1..));
    lines.flat_map(str::chars).filter(|letter| !letter.is_whitespace()).collect()
}

#[test]
fn the_page_shows_the_patches_and_what_the_tests_say() {
    for step in STEPS {
        assert!(PAGE.contains(&format!("your-own-api/{step}.patch")), "the page links {step}.patch");
        for line in read(&format!("{step}.expected")).lines() {
            assert!(PAGE.contains(line), "the page lacks what a test says: {line}");
        }
    }
    let patches: Vec<_> = STEPS.iter().map(|step| dense(&read(&format!("{step}.patch")))).collect();
    for block in PAGE.split("```diff\n").skip(1) {
        let lines = block.split("\n```").next().unwrap().lines();
        for line in lines.filter(|line| !line.starts_with("@@")) {
            assert!(
                patches.iter().any(|patch| patch.contains(dense(line).trim_end_matches(','))),
                "no patch has {line}"
            );
        }
    }
}
