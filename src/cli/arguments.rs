//! What holds for every argument: a value says something, and no error shows a password or a key.

use std::{
    any::TypeId,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgMatches, Command, CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

/// From so many characters on, a word may be a key in base64 or hexadecimal digits.
const KEY_CHARS_MIN: usize = 40;

/// Reads a command line and its environment.
pub(super) fn parse<T: CommandFactory + FromArgMatches>(
    arguments: impl Iterator<Item = OsString>,
) -> Result<T, clap::Error> {
    let mut command = T::command();
    let read = command.try_get_matches_from_mut(arguments).and_then(|matches| {
        check_values(&mut command, &matches)?;
        T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    });
    read.map_err(without_secrets)
}

/// Refuses each value that cannot be meant: an empty one, one that begins or ends with white space, or what should be in the
/// file that it names.
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
    let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let fault = values.find_map(|value| fault(value, is_path))?;
    let variable = argument.get_env().filter(|_| matches.value_source(id) == Some(ValueSource::EnvVariable));
    let name = variable.map_or_else(|| argument.to_string(), |name| name.to_string_lossy().into_owned());
    Some(format!("the value of {name} {fault}"))
}

fn fault(value: &OsStr, is_path: bool) -> Option<&'static str> {
    let text = value.to_string_lossy();
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Some("is empty")
    } else if is_path && may_be_secret(&text) && !is_in_folder(Path::new(value)) {
        Some("must be the path of a file, not what is in the file")
    } else if trimmed.len() < text.len() {
        Some("begins or ends with white space")
    } else if text.contains(['\n', '\r']) || text.contains("-----BEGIN") {
        Some("is not one line, or is a key")
    } else {
        None
    }
}

/// Whether a path is below a folder that there is. A key may begin with `/`, so the root does not count.
fn is_in_folder(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| folder.file_name().is_some());
    fs::symlink_metadata(path).is_ok() || folder.is_some_and(Path::is_dir)
}

/// Whether a text may be, or hold, a URL with a password, a key in PEM format, or a line of a file of seal keys.
fn may_be_secret(text: &str) -> bool {
    let may_be_key = |word: &str| {
        let has = |is: fn(&u8) -> bool| word.bytes().any(|byte| is(&byte));
        let is_base64 = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
        word.len() >= KEY_CHARS_MIN && (is_base64 || word.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut words = text.split(|char: char| !char.is_ascii_alphanumeric() && !"+/_-=".contains(char));
    let is_known = |known: &str| text.to_ascii_lowercase().contains(known);
    ["://", "password", "-----begin"].into_iter().any(is_known) || words.any(may_be_key)
}

/// A secret may stand where it does not belong, and clap shows what it does not understand.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let is_url = |(_, value): &(_, &ContextValue)| value.to_string().starts_with("--database-url");
    let is_about_url = error.context().any(|context| is_url(&context));
    let shown = error.context().filter(|(kind, value)| {
        may_be_secret(&value.to_string()) || is_about_url && *kind == ContextKind::InvalidValue
    });
    for kind in shown.map(|(kind, _)| kind).collect::<Vec<_>>() {
        error.insert(kind, ContextValue::String("… (not shown: it may be a secret)".to_owned()));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_not_taken_for_a_key_unless_it_is_nowhere() {
        let folder = std::env::temp_dir();
        let name = "Backups-of-2026/Customers-api-whole-database-0001";
        assert!(may_be_secret(name));
        let refused = Some("must be the path of a file, not what is in the file");
        let below = folder.join(name.replace('/', "-"));
        assert_eq!(fault(below.as_os_str(), true), None);
        for nowhere in [format!("/{}", name.replace('/', "-")), name.to_owned(), format!("/{name}")] {
            assert_eq!(fault(OsStr::new(&nowhere), true), refused, "{nowhere}");
        }
    }
}
