//! Writes the manual pages, and the completions of bash, zsh and fish, into a folder: `cargo run --example manual FOLDER`.

use std::{env, fs, io, path::PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate_to};
use customers_api::cli::Cli;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).ok_or_else(|| io::Error::other("the folder is missing"))?;
    fs::create_dir_all(&folder)?;
    let mut command = Cli::command();
    for shell in [Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "customers-api", &folder)?;
    }
    fix_names(generate_to(Shell::Bash, &mut command, "customers-api", &folder)?)?;
    clap_mangen::generate_to(without_help(Cli::command()), folder)
}

/// clap_complete 4.6 writes a name with a hyphen in two ways, and then completes nothing (clap-rs/clap#6421).
fn fix_names(file: PathBuf) -> io::Result<()> {
    let text = fs::read_to_string(&file)?;
    fs::write(file, text.replace("customers__subcmd__api", "customers__api"))
}

/// A page for each `help` of a command would say nothing.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}
