//! `scripts/rename`, which makes this tree another project's. The nightly run also builds what comes out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::operations::repository;

/// A copy of this tree as a repository with one commit, to run commands in.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        let script = ". scripts/tools; copy_tree \"$1\"; cd \"$1\"; git init --quiet; git add --all; \
                      git -c user.name=a -c user.email=a@example.com commit --quiet --message base";
        let mut bash = Command::new("bash");
        bash.args(["-euc", script, "bash"]).arg(copy.0.path()).current_dir(repository(""));
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        copy
    }

    fn run(&self, command: &str) -> Result<String, String> {
        let output = Command::new("bash").args(["-c", command]).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// The files of the repository.
    fn files(&self) -> Vec<PathBuf> {
        self.run("git ls-files").unwrap().lines().map(PathBuf::from).collect()
    }

    fn text(&self, file: &Path) -> Option<String> {
        String::from_utf8(fs::read(self.0.path().join(file)).unwrap()).ok()
    }
}

#[test]
fn no_file_of_a_renamed_tree_says_customer_and_all_its_code_can_be_read() {
    let copy = Copy::new();
    let files = copy.files().len();
    copy.run("scripts/rename order-desk Order").unwrap();

    let renamed = copy.files();
    assert_eq!(renamed.len(), files - 2, "the script and this test are gone, and nothing else");
    for file in &renamed {
        let name = file.to_str().unwrap();
        assert!(!name.to_lowercase().contains("customer"), "{name}");
        let Some(text) = copy.text(file) else { continue };
        let line = text.lines().find(|line| line.to_lowercase().contains("customer"));
        assert_eq!(line, None, "{name}");
        if file.extension().is_some_and(|kind| kind == "rs") {
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    for (file, part) in [
        ("Cargo.toml", "name = \"order-desk\""),
        ("openapi.yaml", "operationId: putOrder"),
        ("src/main.rs", "order_desk::cli::main()"),
        ("src/model/order_input.rs", "pub struct OrderInput"),
        ("packaging/environment", "#ORDERS_LISTEN="),
        ("packaging/systemd/order-desk.service", "/usr/bin/order-desk serve"),
    ] {
        assert!(copy.text(Path::new(file)).unwrap().contains(part), "{file}: {part}");
    }
    let articles = copy.run("git grep -wiE 'a[ _]`?orders?' -- '*.md' '*.rs' '*.yaml'");
    assert_eq!(articles, Err(String::new()), "an order");
    let lifetimes = copy.run("git grep -n \"&'an \" -- '*.rs'");
    assert_eq!(lifetimes, Err(String::new()), "a lifetime is no article");
    let checksums = "sed -n 's/^    (\"\\(.*\\.sql\\)\", \"\\(.*\\)\"),$/\\2 \\1/p' tests/it/migrations.rs";
    let checked =
        "while read -r sum file; do sha256sum \"migrations/$file\" | grep \"^$sum\" || exit 1; done";
    let checked = copy.run(&format!("{checksums} | {checked}")).unwrap();
    assert!(
        checked.contains("create_orders/up.sql"),
        "migrations have the checksums of what they became: {checked}"
    );
    copy.run("cargo metadata --locked --offline --no-deps --format-version 1 && cargo fmt --check").unwrap();
}

#[test]
fn a_rename_that_cannot_be_meant_changes_nothing() {
    let copy = Copy::new();
    for (arguments, said) in [
        ("", "scripts/rename NAME RESOURCE"),
        ("orders-api", "scripts/rename NAME RESOURCE"),
        ("Orders Order", "a name has lower-case letters"),
        ("orders_api Order", "a name has lower-case letters"),
        ("orders-api order", "a resource is one word"),
        ("orders-api LineItem", "a resource is one word"),
        ("sheep-api Sheep Sheep", "the plural is another word"),
    ] {
        let refused = copy.run(&format!("scripts/rename {arguments}")).unwrap_err();
        assert!(refused.contains(said), "{arguments}: {refused}");
    }
    fs::write(copy.0.path().join("new.txt"), "not committed").unwrap();
    let refused = copy.run("scripts/rename orders-api Order").unwrap_err();
    assert!(refused.contains("commit your changes first"), "{refused}");
    assert_eq!(copy.run("git status --porcelain").unwrap(), "?? new.txt\n");
}

#[test]
fn an_article_follows_the_sound_of_the_resource() {
    let script = "import runpy; takes_an = runpy.run_path('scripts/rename')['takes_an']; \
                  print(*[w for w in 'Account Hour Order Umbrella Book Europe Unit User'.split() if takes_an(w)])";
    let output = Command::new("python3").args(["-c", script]).current_dir(repository("")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Account Hour Order Umbrella\n");
}
