use std::{
    borrow::Cow,
    fs,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;
use clap::{
    Args, CommandFactory as _, Parser, Subcommand,
    builder::{PathBufValueParser, TypedValueParser as _},
};

use super::{database::Database, input, output};
use crate::{
    account::Account,
    clock,
    model::{InvalidTimestamp, Timestamp},
    scope::Scope,
    signature::{Algorithm, PrivateKey, PublicKey},
    store::{Access, SigningKey, Store, UnusableKey},
};

/// Manage the keys that sign requests
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  customers-api keys generate --account acme --out private.pem
  customers-api keys add --account acme --public-key public.pem --key-id acme-2026
  customers-api keys generate --account acme --out reports.pem --scope read --expires 2030-01-31T00:00:00Z
  customers-api keys list
  customers-api keys revoke acme-2026";

/// The maximum length of a key id, in bytes.
const KEY_ID_BYTES_MAX: usize = 128;

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate a key pair and register the public key
    Generate(Generate),
    /// Register a public key
    Add(Add),
    /// List all keys
    List(List),
    /// Revoke a key: its signatures are refused within 5 seconds, and its id cannot be used again
    Revoke(Revoke),
}

/// The account that a key belongs to.
#[derive(Debug, Args)]
struct Owner {
    /// The account that signs with the key and owns the customers
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    account: Account,
}

/// What a key may do, and until when. Neither ever changes.
#[derive(Debug, Args)]
struct Limits {
    /// What the key may do: read (GET and HEAD) or write (everything)
    #[arg(long, default_value_t)]
    scope: Scope,
    /// From when on the key is refused: a time of RFC 3339 in the future, with its offset [default: never]
    #[arg(long, value_name = "TIME", value_parser = future)]
    expires: Option<Timestamp>,
}

#[derive(Debug, Args)]
struct Generate {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    limits: Limits,
    /// The algorithm of the key: ES384 or ES256
    #[arg(long, default_value = "ES384")]
    algorithm: Algorithm,
    /// The key's id [default: its RFC 7638 thumbprint]
    #[arg(long, value_name = "ID", value_parser = new_key_id, allow_hyphen_values = true)]
    key_id: Option<String>,
    /// The new file for the private key (PKCS#8, PEM); only its owner can read it
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(input::new_file))]
    out: PathBuf,
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    limits: Limits,
    /// The file with the public key (SPKI, PEM); - is standard input
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// The key's id [default: its RFC 7638 thumbprint]
    #[arg(long, value_name = "ID", value_parser = new_key_id, allow_hyphen_values = true)]
    key_id: Option<String>,
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The key's id
    #[arg(allow_hyphen_values = true)]
    key_id: String,
    #[command(flatten)]
    database: Database,
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Generate(command) => command.run().await,
            Command::Add(command) => command.run().await,
            Command::List(command) => command.run().await,
            Command::Revoke(command) => command.run().await,
        }
    }
}

impl Generate {
    async fn run(self) -> anyhow::Result<()> {
        let Self { owner, limits, algorithm, key_id, out, database } = self;
        let is_new = database.is_new();
        let store = database.open(Access::Create).await?;
        let key = PrivateKey::generate(algorithm)?;
        write_private(&out, key.to_pem())
            .with_context(|| format!("cannot create the file {} for the private key", out.display()))?;
        let registered = register(&store, &owner, &limits, &key.public_key()?, key_id).await;
        if registered.is_err() {
            // A private key that is not registered would be mistaken for one that is.
            fs::remove_file(&out)
                .with_context(|| format!("cannot remove the private key {}", out.display()))?;
        }
        tell(&store, &database, is_new, &registered?).await
    }
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        let Self { owner, limits, public_key, key_id, database } = self;
        let shown = public_key.display();
        let bytes = input::read(&public_key).with_context(|| format!("cannot read the key {shown}"))?;
        let key = input::pem(bytes).and_then(|pem| PublicKey::from_pem(&pem));
        let key = key.with_context(|| format!("cannot use the key {shown}"))?;
        let is_new = database.is_new();
        let store = database.open(Access::Create).await?;
        let registered = register(&store, &owner, &limits, &key, key_id).await?;
        tell(&store, &database, is_new, &registered).await
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let store = self.database.open(Access::Read).await?;
        let uses = store.key_uses().await?;
        let head = ["KEY ID", "ACCOUNT", "ALGORITHM", "SCOPE", "CREATED", "EXPIRES", "LAST USE", "REVOKED"];
        let mut lines = vec![line(head.map(str::to_owned))];
        for key in store.signing_keys().await? {
            match key {
                Ok(SigningKey {
                    key_id,
                    account,
                    algorithm,
                    public_key: _,
                    created,
                    scope,
                    expires,
                    revoked,
                }) => {
                    let last_use = uses.get(&key_id).and_then(|&day| day_of(day));
                    lines.push(line([
                        printable(&key_id).into_owned(),
                        account.to_string(),
                        algorithm,
                        scope.to_string(),
                        created.to_string(),
                        or_none(expires),
                        or_none(last_use),
                        or_none(revoked),
                    ]));
                }
                Err(UnusableKey { key_id, reason }) => {
                    output::note(format_args!("{} cannot be used: {reason}", printable(&key_id)));
                }
            }
        }
        output::print(lines.join("\n"))
    }
}

/// A line of the list.
fn line([key_id, account, algorithm, scope, created, expires, last_use, revoked]: [String; 8]) -> String {
    format!(
        "{key_id:<44} {account:<20} {algorithm:<9} {scope:<5} {created:<27} {expires:<27} {last_use:<10} {revoked}"
    )
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A day of the Unix epoch.
fn day_of(days: i64) -> Option<NaiveDate> {
    i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days)
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let Self { key_id, database } = self;
        let store = database.open(Access::Existing).await?;
        ensure!(
            store.revoke_signing_key(&key_id, clock::now().into()).await?,
            "there is no active key with the id {}",
            printable(&key_id)
        );
        output::report(&format!("revoked {}", printable(&key_id)))
    }
}

async fn register(
    store: &Store,
    owner: &Owner,
    limits: &Limits,
    key: &PublicKey,
    key_id: Option<String>,
) -> anyhow::Result<SigningKey> {
    let row = SigningKey {
        key_id: key_id.unwrap_or_else(|| key.thumbprint().to_owned()),
        account: owner.account.clone(),
        algorithm: key.algorithm().to_string(),
        public_key: key.to_pem().to_owned(),
        created: clock::now().into(),
        scope: limits.scope,
        expires: limits.expires,
        revoked: None,
    };
    if !store.add_signing_key(row.clone()).await? {
        bail!("the key id {} is in use: choose another one with --key-id", row.key_id);
    }
    Ok(row)
}

/// Says what was done, and what its consequences are.
async fn tell(store: &Store, database: &Database, is_new: bool, key: &SigningKey) -> anyhow::Result<()> {
    let SigningKey { key_id, account, algorithm, public_key, .. } = key;
    output::report(&format!("registered {key_id} ({algorithm}) for the account {account}"))?;
    if is_new {
        database.note_that_it_is_new();
    }
    if PublicKey::from_pem(public_key)?.thumbprint() != key_id {
        output::note(format_args!(
            "note: the id is not the key's thumbprint, which is sent as kid by default: use `sign --key-id {key_id}`, \
             and the field \"Key id\" of Swagger UI"
        ));
    }
    let now = clock::now().into();
    let is_active = |key: &Result<SigningKey, _>| matches!(key, Ok(key) if key.is_active(now));
    if store.signing_keys().await?.iter().filter(|key| is_active(key)).count() == 2 {
        output::note(
            "note: two keys are active, so tokens without kid are refused from now on, also those of the other key",
        );
    }
    Ok(())
}

/// An id as it is. Only one that another program has stored may hold what would change the terminal.
fn printable(key_id: &str) -> Cow<'_, str> {
    if key_id.contains(char::is_control) {
        Cow::Owned(key_id.escape_debug().to_string())
    } else {
        key_id.into()
    }
}

fn write_private(file: &Path, pem: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(pem.as_bytes())
}

/// A time that has not come yet.
fn future(text: &str) -> Result<Timestamp, String> {
    let time: Timestamp = text.parse().map_err(|error: InvalidTimestamp| error.to_string())?;
    if time.seconds() > clock::now().timestamp() { Ok(time) } else { Err("must be in the future".to_owned()) }
}

fn new_key_id(text: &str) -> Result<String, String> {
    let key_id = key_id(text)?;
    if is_read_back(text) { Ok(key_id) } else { Err("must not be an option of this command line".to_owned()) }
}

/// The form of an id.
pub(super) fn key_id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_graphic();
    if (1..=KEY_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be 1 to {KEY_ID_BYTES_MAX} visible ASCII characters"))
    }
}

/// Whether `keys revoke ID` means this id: an id may begin with `-`, but not be `--help`.
fn is_read_back(key_id: &str) -> bool {
    #[derive(Parser)]
    #[command(no_binary_name = true, version)]
    struct Line {
        #[command(flatten)]
        revoke: Revoke,
    }

    let command = Line::command().mut_args(|argument| argument.env(None::<&str>));
    let read = command.try_get_matches_from([key_id]);
    read.is_ok_and(|matches| matches.get_one::<String>("key_id").is_some_and(|read| read == key_id))
}
