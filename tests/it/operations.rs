//! Runs every command of `docs/operations.md`.
//!
//! The `sh` blocks of a section are one bash script, which runs in an empty folder. Those of a section about the installed
//! service run after those of "Install" and "Configure". Where the real thing would reach outside of the folder, the script
//! gets something else:
//!
//! - `/etc/customers-api`, `/var/lib/customers-api` and the others of [`FOLDERS`] are folders of the test;
//! - `127.0.0.1:8080`, where a service listens by default, and the others of [`ADDRESSES`] are ports that nobody else gets,
//!   and the one URL of Postgres is an empty database of a real server;
//! - the files of a release that the working folder holds are made by the test, and the package among them is empty;
//! - `sudo`, `apt`, `systemctl` and the others of `operations/stand-ins` say what they do not do; `customers-api` and
//!   `customers-api-admin` are the real ones, and so is everything else.
//!
//! `scripts/package-test` runs the sections about the installed service with the real package, under a real systemd.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    ports::reserved_port,
    postgres_cluster,
    support::{command, eventually},
};

const PAGE: &str = include_str!("../../docs/operations.md");

/// How long the commands of a section may take.
const TIMEOUT_SECONDS: &str = "180";

/// Where the page's services listen.
const ADDRESSES: [&str; 3] = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:9464"];

/// The page's database.
const POSTGRES: &str = "postgres://customers@127.0.0.1:5432/customers";

/// The folders outside of the working folder that the page names.
const FOLDERS: [&str; 6] = [
    "/etc/customers-api",
    "/etc/systemd/system",
    "/usr/lib/customers-api",
    "/usr/share/customers-api",
    "/var/backups",
    "/var/lib/customers-api",
];

/// The sections that those about the installed service build on.
const INSTALLED: [&str; 2] = ["Install", "Configure"];

/// A test for each section, which builds on others.
macro_rules! sections {
    ($($test:ident: $heading:literal after $before:expr,)*) => {
        const TESTED: &[&str] = &[$($heading),*];

        $(
            #[actix_web::test]
            async fn $test() {
                run_section($heading, &$before).await;
            }
        )*
    };
}

sections! {
    try_it_in_a_folder: "Try it in a folder" after [],
    install: "Install" after [],
    configure: "Configure" after ["Install"],
    serve_https: "Serve HTTPS" after INSTALLED,
    watch: "Watch" after INSTALLED,
    follow_changes: "Follow changes" after [],
    send_webhooks: "Send webhooks" after INSTALLED,
    back_up_and_restore: "Back up and restore" after INSTALLED,
    rotate_keys: "Rotate keys" after INSTALLED,
    upgrade: "Upgrade" after INSTALLED,
    move_to_postgres: "Move to Postgres" after INSTALLED,
    erase_a_person: "Erase a person" after INSTALLED,
    when_readyz_says_503: "When `/readyz` says 503" after INSTALLED,
    remove: "Remove" after INSTALLED,
}

/// The sections of a page: heading and text.
pub(crate) fn sections(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("\n## ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect()
}

/// The `sh` blocks of a section, joined in order.
pub(crate) fn commands(section: &str) -> String {
    let (mut commands, mut is_inside) = (String::new(), false);
    for line in section.lines() {
        if line.starts_with("```") {
            is_inside = line == "```sh";
        } else if is_inside {
            commands.push_str(line);
            commands.push('\n');
        }
    }
    commands
}

#[test]
fn every_section_has_a_test() {
    let headings: Vec<_> = sections(PAGE).into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, TESTED, "name each section in `sections!`");
}

#[test]
fn the_commands_of_a_section_are_its_sh_blocks() {
    let section = "Text.\n\n```sh\none\n  two\n```\n```text\nthree\n```\n```sh\nfour\n```\n";
    assert_eq!(commands(section), "one\n  two\nfour\n");
}

#[actix_web::test]
async fn a_command_that_fails_is_shown_and_everything_ends_with_it() {
    let script = "sleep 1000 &\nps -o pid= -p $! >&2\nls --no-such-option\necho unreachable\n";
    let output = Place::new().run(script).unwrap_err();
    assert!(output.contains("+ ls --no-such-option") && output.contains("unrecognized option"), "{output}");
    assert!(!output.contains("unreachable"), "{output}");
    let pid: i32 = output.lines().find_map(|line| line.trim().parse().ok()).unwrap();
    eventually("what was started in the background ends", || async {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    })
    .await;
}

/// The commands of a section of the page.
fn commands_of(heading: &str) -> String {
    let (_, section) = sections(PAGE).into_iter().find(|(name, _)| *name == heading).unwrap();
    let script = commands(section);
    assert!(!script.is_empty(), "this section has no command: {heading}");
    script
}

async fn run_section(heading: &str, before: &[&str]) {
    let mut script: String = before.iter().chain([&heading]).map(|heading| commands_of(heading)).collect();
    if script.contains(POSTGRES) {
        script = script.replace(POSTGRES, &postgres_cluster::blank_database().await);
    }
    Place::new().run(&script).unwrap_or_else(|output| panic!("{heading}:\n{output}"));
}

/// A machine with the package on it.
pub(crate) struct Place {
    root: TempDir,
    ports: [u16; ADDRESSES.len()],
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap(), ports: ADDRESSES.map(|_| reserved_port()) };
        place.fill();
        place
    }

    fn fill(&self) {
        for folder in FOLDERS {
            fs::create_dir_all(self.below(folder)).unwrap();
        }
        for folder in ["bin", "run", "work"] {
            fs::create_dir(self.below(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_customers-api"), self.below("bin/customers-api")).unwrap();
        let wrapper = repository("packaging/customers-api-admin");
        symlink(wrapper, self.below("bin/customers-api-admin")).unwrap();
        let hook = fs::read_to_string(repository("packaging/certbot-deploy-hook")).unwrap();
        let file = self.below("/usr/share/customers-api/certbot-deploy-hook");
        fs::write(&file, self.adapted(&hook)).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        let release = "name=customers-api_0.1.0-1_$(dpkg --print-architecture).deb; touch $name; \
                       sha256sum $name > SHA256SUMS";
        let made = Command::new("sh").args(["-c", release]).current_dir(self.below("work")).status();
        assert!(made.unwrap().success());
    }

    /// A path as it is outside of the test, or a path below the root.
    fn below(&self, folder: &str) -> PathBuf {
        self.root.path().join(folder.trim_start_matches('/'))
    }

    /// The script as it runs here.
    fn adapted(&self, script: &str) -> String {
        let mut script = script.to_owned();
        for (address, port) in ADDRESSES.iter().zip(&self.ports) {
            script = script.replace(address, &format!("127.0.0.1:{port}"));
        }
        for folder in FOLDERS {
            script = script.replace(folder, self.below(folder).to_str().unwrap());
        }
        script
    }

    /// Runs a script to its end. Returns what was printed if it fails. Everything that it started ends with it.
    pub(crate) fn run(&self, script: &str) -> Result<(), String> {
        let root = self.root.path();
        let (script_file, output) = (root.join("script"), root.join("output"));
        fs::write(&script_file, format!("set -euo pipefail\n{}", self.adapted(script))).unwrap();
        let file = File::create(&output).unwrap();
        let mut shell = Command::new("timeout");
        shell.args(["--kill-after=5", TIMEOUT_SECONDS, "bash", "-x"]).arg(&script_file);
        for (name, _) in command().get_envs() {
            shell.env_remove(name);
        }
        shell.current_dir(root.join("work")).env("HOME", root.join("work")).env("PATH", self.path());
        shell.env("ROOT", root).env("PACKAGING", repository("packaging"));
        shell.env("CUSTOMERS_LISTEN", format!("127.0.0.1:{}", self.ports[0]));
        shell.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let mut shell = shell.spawn().unwrap();
        let status = shell.wait().unwrap();
        // What is left of the group: it may be nobody.
        let group = format!("-{}", shell.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        if status.success() { Ok(()) } else { Err(fs::read_to_string(output).unwrap()) }
    }

    /// The stand-ins and the binary first; then the programs of Postgres, and all others.
    fn path(&self) -> String {
        let stand_ins = repository("tests/it/operations/stand-ins");
        let bin = self.root.path().join("bin");
        format!("{}:{}:{}", stand_ins.display(), bin.display(), postgres_cluster::path())
    }
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
