//! What the package is made of, as far as the code decides it. `scripts/package-test` makes the package.

use clap::CommandFactory as _;
use customers_api::cli::Cli;

const ENVIRONMENT: &str = include_str!("../../packaging/environment");

/// The variables of the environment file: name, the value that is shown, and the line before.
fn variables() -> Vec<(&'static str, &'static str, &'static str)> {
    let lines: Vec<_> = ENVIRONMENT.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let (name, value) =
            pair[1].strip_prefix('#').filter(|line| !line.starts_with(' '))?.split_once('=')?;
        Some((name, value, pair[0]))
    });
    pairs.collect()
}

#[test]
fn the_environment_file_has_each_option_of_serve_with_its_default() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let (mut named, variables) = (Vec::new(), variables());
    for argument in serve.get_arguments() {
        let variable = argument.get_env().unwrap_or_else(|| panic!("{argument} has a variable"));
        let name = variable.to_str().unwrap();
        let (_, value, comment) = variables.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| {
            panic!("packaging/environment has a comment and a line #{name}=DEFAULT for {argument}")
        });
        assert!(comment.starts_with("# "), "{name} is explained: {comment:?}");
        // The package has its own place for the database. A flag's default is not shown as a value.
        let default = argument.get_default_values().first().filter(|_| name != "DATABASE_URL");
        let is_flag = !argument.get_action().takes_values();
        let default = if is_flag { Some("false") } else { default.and_then(|value| value.to_str()) };
        if let Some(default) = default {
            assert_eq!(*value, default, "{name}");
        }
        named.push(name);
    }
    for (name, ..) in variables {
        assert!(named.contains(&name), "{name} is an option of serve");
    }
}

#[test]
fn the_environment_file_changes_nothing_until_it_is_edited() {
    for line in ENVIRONMENT.lines() {
        assert!(line.is_empty() || line.starts_with('#'), "{line}");
    }
}
