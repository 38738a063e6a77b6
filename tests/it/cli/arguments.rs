//! Every argument of every command, by the command line's own description: what cannot be meant is misuse.

use std::{any::TypeId, path::PathBuf, process::Stdio};

use chrono::SecondsFormat;
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use customers_api::{
    cli::Cli,
    clock,
    signature::{Algorithm, PrivateKey},
};

use super::Place;
use crate::support::command;

/// A good value of each argument that has no default.
const GOOD: [(&str, &str); 30] = [
    ("account", "acme"),
    ("admin_listen", "127.0.0.1:0"),
    ("allow_incomplete", "true"),
    ("body", "body.json"),
    ("customer", "c-1"),
    ("expires", "2126-01-31T12:00:00Z"),
    ("file", "backup.db"),
    ("follow", "true"),
    ("from", "1"),
    ("id", "k1"),
    ("key", "private.pem"),
    ("key_id", "k-1"),
    ("method", "GET"),
    ("now", "true"),
    ("out", "new.pem"),
    ("path", "/customers"),
    ("public_key", "public.pem"),
    ("queries", "a=b"),
    ("replace", "true"),
    ("sandbox", "true"),
    ("seal_keys", "seal-keys"),
    ("seal_only", "true"),
    ("since", "2026-01-31T12:00:00Z"),
    ("tls_cert", "server.crt"),
    ("tls_key", "server.key"),
    ("types", "CustomerCreated"),
    ("url", "http://127.0.0.1:1/"),
    ("webhook_allow", "127.0.0.1"),
    ("webhook_url", "https://example.com/hook"),
    ("workers", "1"),
];

/// Arguments that are given together or not at all.
const TOGETHER: [[&str; 2]; 2] = [["tls_cert", "tls_key"], ["account", "customer"]];

fn good(argument: &Arg) -> String {
    let default = argument.get_default_values().first().map(|value| value.to_str().unwrap().to_owned());
    // A flag has a default, too.
    let default = default.filter(|_| takes_value(argument));
    default.unwrap_or_else(|| {
        let id = argument.get_id().as_str();
        let (_, good) =
            GOOD.iter().find(|(name, _)| *name == id).unwrap_or_else(|| panic!("say in GOOD what {id} is"));
        (*good).to_owned()
    })
}

fn takes_value(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
}

/// The commands that do something, with the words that call them.
pub(super) fn leaves() -> Vec<(Vec<String>, Command)> {
    fn collect(words: &[String], command: &Command, leaves: &mut Vec<(Vec<String>, Command)>) {
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            collect(&[words, &[subcommand.get_name().to_owned()]].concat(), subcommand, leaves);
        }
        if !command.has_subcommands() {
            leaves.push((words.to_vec(), command.clone()));
        }
    }

    let (mut command, mut leaves) = (Cli::command(), Vec::new());
    command.build();
    collect(&[], &command, &mut leaves);
    leaves
}

fn given(argument: &Arg, value: &str) -> Vec<String> {
    match argument.get_long() {
        Some(name) => vec![format!("--{name}={value}")],
        None => vec![value.to_owned()],
    }
}

/// Runs a command whose argument has this value, on the line or in the environment.
fn run(
    place: &Place,
    words: &[String],
    whole: &Command,
    tried: &Arg,
    value: &str,
    is_variable: bool,
) -> (Option<i32>, String) {
    let mut line = words.to_vec();
    for argument in whole.get_arguments() {
        let (id, tried_id) = (argument.get_id(), tried.get_id());
        let is_needed =
            TOGETHER.iter().any(|pair| pair.contains(&id.as_str()) && pair.contains(&tried_id.as_str()))
                || argument.is_required_set();
        if id != tried_id && is_needed {
            line.extend(given(argument, &good(argument)));
        } else if id == tried_id && !is_variable {
            line.extend(given(argument, value));
        }
    }
    let mut command = command();
    // Whatever is accepted ends at once.
    command.env("DATABASE_URL", "sqlite:no/such/folder/customers.db").env("CUSTOMERS_LISTEN", "192.0.2.1:1");
    if is_variable {
        command.env(tried.get_env().unwrap(), value);
    } else if let Some(variable) = tried.get_env() {
        command.env_remove(variable);
    }
    let output = command.args(&line).current_dir(place.0.path()).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), format!("{line:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_value_that_is_empty_or_surrounded_by_white_space_is_misuse() {
    let place = Place::new();
    let mut tried = 0;
    for (words, whole) in leaves() {
        for argument in whole.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let is_help = matches!(argument.get_action(), ArgAction::Help | ArgAction::Version);
            if is_help || argument.get_id() == "help" || argument.get_id() == "version" {
                continue;
            }
            let good = good(argument);
            for value in
                ["", " ", "\t", "\u{a0}", &format!(" {good}"), &format!("{good} "), &format!("{good}\r")]
            {
                let ways = [(takes_value(argument), false), (argument.get_env().is_some(), true)];
                for (_, is_variable) in ways.into_iter().filter(|(is_there, _)| *is_there) {
                    let (code, said) = run(&place, &words, &whole, argument, value, is_variable);
                    assert_eq!(
                        code,
                        Some(2),
                        "{}={value:?}, variable: {is_variable}: {said}",
                        argument.get_id()
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 200, "{tried} values were tried");
    assert_eq!(place.files(), Vec::<String>::new(), "misuse leaves nothing behind");
}

#[test]
fn good_values_are_not_misuse() {
    let place = Place::new();
    for (words, whole) in leaves() {
        for argument in whole.get_arguments() {
            let ways = [(takes_value(argument), false), (argument.get_env().is_some(), true)];
            for (_, is_variable) in ways.into_iter().filter(|(is_there, _)| *is_there) {
                if argument.get_id() == "database_url" || argument.get_id() == "listen" {
                    continue;
                }
                let (code, said) = run(&place, &words, &whole, argument, &good(argument), is_variable);
                assert_ne!(code, Some(2), "{said}");
            }
        }
    }
}

#[test]
fn an_unknown_word_is_misuse() {
    let place = Place::new();
    for (arguments, word) in [
        (&["serve", "--log", "warning"][..], "off, error, warn, info, debug or trace"),
        (&["serve", "--log", "verbose"], "off, error, warn, info, debug or trace"),
        (&["serve", "--log", "customer_api=debug"], "customers_api"),
        (&["serve", "--log-format", "yaml"], "text, json"),
        (&["serve", "--workers", "many"], "invalid digit"),
        (&["serve", "--database-wait", "1s"], "invalid digit"),
        (&["serve", "--database-url", "sqlite::memory:"], "needs the path of a file"),
        (&["serve", "--database-url", "sqlite: customers.db"], "needs the path of a file"),
        (&["serve", "--database-url", "sqlite:file:customers.db"], "needs the path of a file"),
        (&["serve", "--database-url", "sqlite:-"], "needs the path of a file"),
        (&["serve", "--database-url", "customers.db"], "unknown database"),
        (&["serve", "--listen", "localhost"], "HOST:PORT"),
        (&["serve", "--listen", "0:8080"], "HOST:PORT"),
        (&["openapi", "--format", "xml"], "yaml, json"),
        (&["keys", "generate", "--account", "a", "--out", "-"], "new file only"),
        (&["backup", "-"], "new file only"),
        (&["backup", "b.db", "--database-url", "postgres://h/d"], "use pg_dump"),
        (&["export", "--account", "a b"], "an account name has 1 to 64 characters"),
        (
            &["keys", "generate", "--account", "a", "--out", "k.pem", "--key-id", "--help"],
            "must not be an option",
        ),
        (&["keys", "add", "--account", "a", "--public-key", "k.pem", "--scope", "admin"], "read or write"),
        (&["keys", "add", "--account", "a", "--public-key", "k.pem", "--scope", "Read"], "read or write"),
        (&["keys", "generate", "--account", "a", "--out", "k.pem", "--scope", "read,write"], "read or write"),
        (&["sign", "put", "/customers/c-1", "--key", "k.pem"], "capital letters"),
        (&["sign", "GET", "customers", "--key", "k.pem"], "must begin with /"),
        (&["sign", "GET", "/customers/c 1", "--key", "k.pem"], "percent-encoded"),
        (&["sign", "GET", "/customers/é", "--key", "k.pem"], "percent-encoded"),
        (&["sign", "GET", "/customers#a", "--key", "k.pem"], "percent-encoded"),
        (&["sign", "GET", "/customers", "--key", "-", "--body", "-"], "cannot both be standard input"),
        (&["sign", "GET", "/customers", "--key", "k.pem", "--query", "PageSize"], "NAME=VALUE"),
    ] {
        let error = place.fails(2, arguments);
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
    let output = command()
        .args(["serve", "--listen", "192.0.2.1:1"])
        .env("CUSTOMERS_SANDBOX", "maybe")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(place.files(), Vec::<String>::new(), "misuse leaves nothing behind");
}

#[test]
fn a_key_expires_at_a_time_to_come_that_has_an_offset() {
    let place = Place::new();
    let form = "must be a time of RFC 3339";
    for (time, word) in [
        ("2126-01-31T12:00:00", form),
        ("2126-01-31T12:00:00 UTC", form),
        ("2126-01-31", form),
        ("2126-02-30T12:00:00Z", form),
        ("2126-01-31T12:00:00.0000001Z", form),
        ("4923072000", form),
        ("1y", form),
        ("tomorrow", form),
        ("2026-01-31T12:00:00Z", "must be in the future"),
        ("0000-01-01T00:00:00Z", "must be in the future"),
        (&clock::now().to_rfc3339_opts(SecondsFormat::Secs, true), "must be in the future"),
    ] {
        for command in [&["keys", "add", "--public-key", "k.pem"], &["keys", "generate", "--out", "k.pem"]] {
            let error = place.fails(2, &[command, &["--account", "a", "--expires", time][..]].concat());
            assert!(error.contains(word), "{time}: {error}");
        }
    }
    assert_eq!(place.files(), Vec::<String>::new(), "misuse leaves nothing behind");
}

#[test]
fn no_error_shows_a_password() {
    const SECRET: &str = "Tr0ub4dor";
    let place = Place::new();
    let url = format!("postgres://app:{SECRET}@db.invalid/customers");
    let pairs = format!("host=db.invalid user=app password={SECRET} dbname=customers");
    for url in [url.as_str(), pairs.as_str()] {
        for arguments in [
            &[url][..],
            &["serve", url],
            &["serve", "--listen", url],
            &["serve", "--log", url],
            &["serve", "--base-path", url],
            &["serve", "--workers", url],
            &["keys", url],
            &["keys", "list", url],
            &["keys", "generate", "--account", url, "--out", "k.pem"],
            &["openapi", "--format", url],
            &["sign", url, "/", "--key", "k.pem"],
            &["sign", "GET", url, "--key", "k.pem"],
        ] {
            let error = place.fails(2, arguments);
            assert!(!error.contains(SECRET), "{error}");
        }
    }
    let error = place.fails(1, &["keys", "list", "--database-url", &url]);
    assert!(!error.contains(SECRET) && !error.contains("app"), "{error}");
}

#[test]
fn no_error_shows_a_key_that_stands_where_its_path_belongs() {
    let place = Place::new();
    let line = customers_api::record::generate_key_line("k1").to_string();
    let (_, encoded) = line.split_once(' ').unwrap();
    let pem = PrivateKey::generate(Algorithm::Es384).unwrap().to_pem().to_owned();
    let url = "postgres://app:Tr0ub4dor@db.invalid/customers";
    let secrets = [
        (line.as_str(), encoded),
        (encoded, encoded),
        (pem.as_str(), &pem[40..70]),
        (pem.trim_end(), &pem[40..70]),
        (&pem.replace('\n', "\\n"), &pem[40..70]),
        (&pem.replace('\n', " "), &pem[40..70]),
        (&pem[28..90], &pem[40..70]),
        ("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "8899aabb"),
        (url, "Tr0ub4dor"),
    ];
    let mut tried = 0;
    for (words, whole) in leaves() {
        for argument in whole.get_arguments().filter(|argument| takes_value(argument)) {
            // The URL of a database has its own refusals.
            if argument.get_id() == "database_url" {
                continue;
            }
            for (secret, part) in secrets {
                for is_variable in [false, true] {
                    if is_variable && argument.get_env().is_none() {
                        continue;
                    }
                    let (code, said) = run(&place, &words, &whole, argument, secret, is_variable);
                    let (_, said) = said.split_once("]: ").unwrap();
                    let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
                    assert!(!is_path || code == Some(2), "{}: {code:?} {said}", argument.get_id());
                    assert!(
                        !said.contains(part) || !is_path && code != Some(2),
                        "{}: {said}",
                        argument.get_id()
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 300, "{tried} ways were tried");
    // An option that takes no value, and a value that looks like an option.
    for arguments in [
        &["sign", "GET", "/", "--key", &pem][..],
        &["serve", "--seal-keys", &line, &line],
        &["serve", "--tls-cert", "c.pem", "--tls-key", &pem],
        &["keys", "revoke", &pem],
        &[&line],
        &["seal", &line],
    ] {
        let error = place.fails(2, arguments);
        assert!(!error.contains(encoded) && !error.contains(&pem[40..70]), "{error}");
    }
    assert_eq!(place.files(), Vec::<String>::new());
}
