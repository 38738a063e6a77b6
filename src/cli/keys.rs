use std::{
    borrow::Cow,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use super::{database::Database, input, output};
use crate::{
    account::Account,
    clock,
    files::secret_options,
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

const KEY_ID_BYTES_MAX: usize = 128;

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate a key pair and register the public key
    Generate {
        #[command(flatten)]
        registration: Registration,
        /// The algorithm of the key: ES384 or ES256
        #[arg(long, default_value = "ES384")]
        algorithm: Algorithm,
        /// The new file for the private key (PKCS#8, PEM); only its owner can read it
        #[arg(long, value_name = "FILE", value_parser = input::new_file("a private key"))]
        out: PathBuf,
    },
    /// Register a public key
    Add {
        #[command(flatten)]
        registration: Registration,
        /// The file with the public key (SPKI, PEM); - is standard input
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
    /// List all keys
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Revoke a key: its signatures are refused within 5 seconds, and its id cannot be used again
    Revoke(Revoke),
}

/// Whose key is registered, under which id, what it may do, and where. Only that it is revoked can be changed later.
#[derive(Debug, Args)]
struct Registration {
    /// The account that signs with the key and owns the customers
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    account: Account,
    /// What the key may do: read (GET and HEAD) or write (everything)
    #[arg(long, default_value_t)]
    scope: Scope,
    /// From when on the key is refused: a time of RFC 3339 in the future, with its offset [default: never]
    #[arg(long, value_name = "TIME", value_parser = future)]
    expires: Option<Timestamp>,
    /// The key's id [default: its RFC 7638 thumbprint]
    #[arg(long, value_name = "ID", value_parser = new_key_id, allow_hyphen_values = true)]
    key_id: Option<String>,
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
            Command::Generate { registration, algorithm, out } => {
                generate(registration, algorithm, &out).await
            }
            Command::Add { registration, public_key } => add(registration, &public_key).await,
            Command::List { database } => list(&database).await,
            Command::Revoke(Revoke { key_id, database }) => revoke(&key_id, &database).await,
        }
    }
}

async fn generate(registration: Registration, algorithm: Algorithm, out: &Path) -> anyhow::Result<()> {
    let (is_new, store) = registration.open().await?;
    let key = PrivateKey::generate(algorithm)?;
    let written = secret_options().create_new(true).open(out);
    written
        .and_then(|mut file| file.write_all(key.to_pem().as_bytes()))
        .with_context(|| format!("cannot create the file {} for the private key", out.display()))?;
    let registered = registration.register(&store, &key.public_key()?).await;
    if registered.is_err() {
        // A private key that is not registered would be mistaken for one that is.
        fs::remove_file(out).with_context(|| format!("cannot remove the private key {}", out.display()))?;
    }
    registration.tell(&store, is_new, &registered?).await
}

async fn add(registration: Registration, public_key: &Path) -> anyhow::Result<()> {
    let key = input::key(public_key, PublicKey::from_pem)?;
    let (is_new, store) = registration.open().await?;
    let registered = registration.register(&store, &key).await?;
    registration.tell(&store, is_new, &registered).await
}

async fn list(database: &Database) -> anyhow::Result<()> {
    let store = database.open(Access::Read).await?;
    let uses = store.key_uses().await?;
    let head = ["KEY ID", "ACCOUNT", "ALGORITHM", "SCOPE", "CREATED", "EXPIRES", "LAST USE", "REVOKED"];
    let mut lines = vec![line(&head)];
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
                let [key_id, created] = [printable(&key_id).into_owned(), created.to_string()];
                let [expires, last_use, revoked] = [or_none(expires), or_none(last_use), or_none(revoked)];
                let (account, scope): (_, &str) = (account.as_str(), scope.into());
                lines.push(line(&[
                    &key_id, account, &algorithm, scope, &created, &expires, &last_use, &revoked,
                ]));
            }
            Err(UnusableKey { key_id, reason }) => {
                output::note(format_args!("{} cannot be used: {reason}", printable(&key_id)));
            }
        }
    }
    output::print(lines.join("\n"))
}

fn line([key_id, account, algorithm, scope, created, expires, last_use, revoked]: &[&str; 8]) -> String {
    format!(
        "{key_id:<44} {account:<20} {algorithm:<9} {scope:<5} {created:<27} {expires:<27} {last_use:<10} {revoked}"
    )
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// So many days after the first one of the Unix epoch.
fn day_of(days: i64) -> Option<NaiveDate> {
    i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days)
}

async fn revoke(key_id: &str, database: &Database) -> anyhow::Result<()> {
    let store = database.open(Access::Existing).await?;
    let (is_revoked, shown) =
        (store.revoke_signing_key(key_id, clock::now().into()).await?, printable(key_id));
    ensure!(is_revoked, "there is no active key with the id {shown}");
    output::report(&format!("revoked {shown}"))
}

impl Registration {
    /// Opens the database, and says whether it is a new one.
    async fn open(&self) -> anyhow::Result<(bool, Store)> {
        let is_new = self.database.is_new();
        Ok((is_new, self.database.open(Access::Create).await?))
    }

    async fn register(&self, store: &Store, key: &PublicKey) -> anyhow::Result<SigningKey> {
        let row = SigningKey {
            key_id: self.key_id.clone().unwrap_or_else(|| key.thumbprint().to_owned()),
            account: self.account.clone(),
            algorithm: key.algorithm().to_string(),
            public_key: key.to_pem().to_owned(),
            created: clock::now().into(),
            scope: self.scope,
            expires: self.expires,
            revoked: None,
        };
        if !store.add_signing_key(row.clone()).await? {
            bail!("the key id {} is in use: choose another one with --key-id", row.key_id);
        }
        Ok(row)
    }

    /// Says what was done, and what its consequences are.
    async fn tell(&self, store: &Store, is_new: bool, key: &SigningKey) -> anyhow::Result<()> {
        let SigningKey { key_id, account, algorithm, public_key, .. } = key;
        output::report(&format!("registered {key_id} ({algorithm}) for the account {account}"))?;
        if is_new {
            self.database.note_that_it_is_new();
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
}

/// An id as it is. Only one that another program has stored may hold what would change the terminal.
fn printable(key_id: &str) -> Cow<'_, str> {
    if key_id.contains(char::is_control) {
        Cow::Owned(key_id.escape_debug().to_string())
    } else {
        key_id.into()
    }
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
    struct Options {
        #[command(flatten)]
        revoke: Revoke,
    }

    let command = Options::command().mut_args(|argument| argument.env(None::<&str>));
    let read = command.try_get_matches_from([key_id]);
    read.is_ok_and(|matches| matches.get_one::<String>("key_id").is_some_and(|read| read == key_id))
}
