//! What holds for every argument: a value says something, and no error shows a password.

use std::ffi::{OsStr, OsString};

use clap::{
    Arg, ArgMatches, Command, CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

/// What an error may show of the command line.
const SHOWN: [ContextKind; 3] =
    [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue];

/// Reads a command line and its environment.
pub(super) fn parse<T: CommandFactory + FromArgMatches>(
    arguments: impl Iterator<Item = OsString>,
) -> Result<T, clap::Error> {
    let mut command = T::command();
    let read = command.try_get_matches_from_mut(arguments).and_then(|matches| {
        check_values(&mut command, &matches)?;
        T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    });
    read.map_err(without_credentials)
}

/// Refuses each value that cannot be meant: an empty one, or one that begins or ends with white space.
fn check_values(command: &mut Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let faults = command.get_arguments().find_map(|argument| faulty(argument, matches));
    if let Some(fault) = faults {
        return Err(command.error(ErrorKind::ValueValidation, fault));
    }
    match matches.subcommand() {
        None => Ok(()),
        Some((name, matches)) => {
            command.find_subcommand_mut(name).map_or(Ok(()), |command| check_values(command, matches))
        }
    }
}

/// What is wrong with the values of an argument, by the name under which they were given.
fn faulty(argument: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = argument.get_id().as_str();
    let mut values = matches.try_get_raw(id).ok().flatten()?;
    let fault = values.find_map(fault)?;
    let variable = argument.get_env().filter(|_| matches.value_source(id) == Some(ValueSource::EnvVariable));
    let name = variable.map_or_else(|| argument.to_string(), |name| name.to_string_lossy().into_owned());
    Some(format!("the value of {name} {fault}"))
}

fn fault(value: &OsStr) -> Option<&'static str> {
    let text = value.to_string_lossy();
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Some("is empty")
    } else if trimmed.len() < text.len() {
        Some("begins or ends with white space")
    } else {
        None
    }
}

/// The URL of a database may stand where it does not belong, and clap shows what it does not understand.
fn without_credentials(mut error: clap::Error) -> clap::Error {
    for kind in SHOWN {
        let may_be_secret = |value: &ContextValue| {
            let text = value.to_string();
            text.contains("://") || text.to_ascii_lowercase().contains("password")
        };
        if error.get(kind).is_some_and(may_be_secret) {
            error.insert(kind, ContextValue::String("… (not shown: it may hold a password)".to_owned()));
        }
    }
    error
}
