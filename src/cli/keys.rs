use std::{
    fs,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};

use super::database::Database;
use crate::{
    account::Account,
    clock,
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
    #[arg(long, value_name = "NAME")]
    account: Account,
}

#[derive(Debug, Args)]
struct Generate {
    #[command(flatten)]
    owner: Owner,
    /// The algorithm of the key: ES384 or ES256
    #[arg(long, default_value = "ES384")]
    algorithm: Algorithm,
    /// The key's id [default: its RFC 7638 thumbprint]
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key_id: Option<String>,
    /// The new file for the private key (PKCS#8, PEM); only its owner can read it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    owner: Owner,
    /// The file with the public key (SPKI, PEM)
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// The key's id [default: its RFC 7638 thumbprint]
    #[arg(long, value_name = "ID", value_parser = key_id)]
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
        let Self { owner, algorithm, key_id, out, database } = self;
        let store = database.open(Access::Create).await?;
        let key = PrivateKey::generate(algorithm)?;
        write_private(&out, key.to_pem())
            .with_context(|| format!("cannot create the file {} for the private key", out.display()))?;
        let registered = register(&store, owner, &key.public_key()?, key_id).await;
        if registered.is_err() {
            // A private key that is not registered would be mistaken for one that is.
            fs::remove_file(&out)
                .with_context(|| format!("cannot remove the private key {}", out.display()))?;
        }
        registered
    }
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        let Self { owner, public_key, key_id, database } = self;
        let shown = public_key.display();
        let pem = fs::read_to_string(&public_key).with_context(|| format!("cannot read the key {shown}"))?;
        let key = PublicKey::from_pem(&pem).with_context(|| format!("cannot use the key {shown}"))?;
        let store = database.open(Access::Create).await?;
        register(&store, owner, &key, key_id).await
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let store = self.database.open(Access::Existing).await?;
        println!("{:<44} {:<20} {:<9} {:<27} REVOKED", "KEY ID", "ACCOUNT", "ALGORITHM", "CREATED");
        for key in store.signing_keys().await? {
            match key {
                Ok(SigningKey { key_id, account, algorithm, public_key: _, created, revoked }) => {
                    let revoked = revoked.map_or_else(|| "-".to_owned(), |revoked| revoked.to_string());
                    println!("{key_id:<44} {:<20} {algorithm:<9} {created} {revoked}", account.as_str());
                }
                Err(UnusableKey { key_id, reason }) => eprintln!("{key_id} cannot be used: {reason}"),
            }
        }
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let Self { key_id, database } = self;
        let store = database.open(Access::Existing).await?;
        ensure!(
            store.revoke_signing_key(&key_id, clock::now().into()).await?,
            "there is no active key with the id {key_id}"
        );
        println!("revoked {key_id}");
        Ok(())
    }
}

async fn register(
    store: &Store,
    owner: Owner,
    key: &PublicKey,
    key_id: Option<String>,
) -> anyhow::Result<()> {
    let key_id = key_id.map_or_else(|| key.thumbprint(), Ok)?;
    let row = SigningKey {
        key_id: key_id.clone(),
        account: owner.account.clone(),
        algorithm: key.algorithm().to_string(),
        public_key: key.to_pem().to_owned(),
        created: clock::now().into(),
        revoked: None,
    };
    if !store.add_signing_key(row).await? {
        bail!("the key id {key_id} is in use: choose another one with --key-id");
    }
    println!("registered {key_id} ({}) for the account {}", key.algorithm(), owner.account);
    Ok(())
}

fn write_private(file: &Path, pem: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(pem.as_bytes())
}

fn key_id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_graphic();
    if (1..=KEY_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be 1 to {KEY_ID_BYTES_MAX} visible ASCII characters"))
    }
}
