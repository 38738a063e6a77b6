use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use futures_util::TryStreamExt as _;
use tokio::time::sleep;

use super::{database::Database, output, progress::Progress, rows, seal_options::SealKeysFile};
use crate::{
    clock, random,
    record::{Records, Resealed, generate_key_line, is_key_id},
    store::{Access, Store},
};

/// Seal records: make keys, see what is sealed by which key, and seal everything by the current key
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Seal {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  (umask 077 && customers-api seal generate-key > seal-keys)
  customers-api serve --seal-keys seal-keys
  customers-api seal status
  customers-api seal apply --seal-keys seal-keys";

/// How many records are written at once. Writers of the service wait for as long as that takes.
const BATCH_ROWS: usize = 100;

/// How long others may seal by another key: a process that was killed counts for a minute.
const OTHERS_PATIENCE: Duration = Duration::from_secs(75);
const OTHERS_PAUSE: Duration = Duration::from_secs(1);

/// Under which name plain records are counted.
const PLAIN: &str = "-";

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a new key as a line for the file of --seal-keys
    GenerateKey {
        /// The id of the key [default: the date and a random part]
        #[arg(long, value_name = "ID", value_parser = key_id)]
        id: Option<String>,
    },
    /// Print how many records, and secrets of webhooks, are sealed by which key; `-` stands for plain records
    Status {
        #[command(flatten)]
        database: Database,
    },
    /// Seal every record that is not sealed by the current key, while the service runs
    Apply {
        #[command(flatten)]
        seal: SealKeysFile,
        #[command(flatten)]
        database: Database,
    },
}

impl Seal {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::GenerateKey { id } => generate_key(id),
            Command::Status { database } => status(&database).await,
            Command::Apply { seal, database } => apply(&seal, &database).await,
        }
    }
}

fn generate_key(id: Option<String>) -> anyhow::Result<()> {
    let new_id = || {
        let random = random::uuid().simple().to_string();
        format!("{}-{}", clock::now().format("%Y-%m-%d"), &random[..6])
    };
    output::print(&*generate_key_line(&id.unwrap_or_else(new_id)))
}

async fn status(database: &Database) -> anyhow::Result<()> {
    let store = database.open(Access::Read).await?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut progress = Progress::start("records were counted");
    let mut rows = pin!(rows::customers(&store));
    while let Some(page) = rows.try_next().await? {
        for row in &page {
            let sealed_by = row.customer.as_ref().ok().and_then(|stored| stored.record.sealed_by.as_deref());
            *counts.entry(sealed_by.unwrap_or(PLAIN).to_owned()).or_default() += 1;
        }
        progress.add(page.len());
    }
    progress.end();
    let mut secrets: BTreeMap<String, u64> = BTreeMap::new();
    for secret in store.webhook_secrets().await? {
        counts.entry(secret.sealed_by.clone()).or_default();
        *secrets.entry(secret.sealed_by).or_default() += 1;
    }
    let column = |text: String| if secrets.is_empty() { String::new() } else { format!(" {text}") };
    let mut lines = vec![format!("{:<64} RECORDS{}", "KEY", column("WEBHOOK SECRETS".to_owned()))];
    for (key_id, records) in counts {
        let secrets = column(secrets.get(&key_id).copied().unwrap_or_default().to_string());
        lines.push(format!("{key_id:<64} {records}{secrets}"));
    }
    output::print(lines.join("\n"))
}

async fn apply(seal: &SealKeysFile, database: &Database) -> anyhow::Result<()> {
    let store = database.open(Access::Existing).await?;
    let records = seal.open(&store).await?;
    let current = records.current_key().context("needs --seal-keys FILE: there is no key to seal with")?;
    let is_new = store.seal_keys().await?.iter().all(|known| known.key_id != current);
    records.begin(&store).await?;
    if let Err(others) = await_others(&store, &current).await {
        records.end(&store).await;
        if is_new {
            // Nothing is sealed by it, and those who do not have it could not start any more.
            store.remove_seal_key(&current).await?;
        }
        return Err(others);
    }
    let mut sealed = 0;
    loop {
        sealed += seal_all(&store, &records, &current).await?;
        if forget_others(&store, &current).await? {
            break;
        }
        await_others(&store, &current).await?;
    }
    // Somebody may have begun with another key, and ended again. From now on that is not possible any more.
    sealed += seal_all(&store, &records, &current).await?;
    records.refuse_plain(&store).await?;
    records.end(&store).await;
    store.erase().await.context("the previous records are not erased from the files yet")?;
    output::report(&format!("all records are sealed by {current}: {sealed} were not before"))
}

/// Waits until nobody seals by another key, or writes plain records. A process that was killed counts for a minute.
async fn await_others(store: &Store, current: &str) -> anyhow::Result<()> {
    let (start, mut told) = (Instant::now(), None);
    loop {
        let others = store.sealers().await?.into_iter().filter(|key| key.as_deref() != Some(current));
        let mut others: Vec<_> = others.map(|key| key.unwrap_or_else(|| PLAIN.to_owned())).collect();
        if others.is_empty() {
            return Ok(());
        }
        others.sort();
        let others = others.join(", ");
        ensure!(
            start.elapsed() < OTHERS_PATIENCE,
            "other processes still seal by these keys ({PLAIN}: not at all): {others}; \
             let {current} be the first key of each one's --seal-keys, and repeat this"
        );
        if told.as_ref() != Some(&others) {
            output::note(format_args!(
                "waiting for processes that seal by these keys ({PLAIN}: not at all): {others}"
            ));
            told = Some(others);
        }
        sleep(OTHERS_PAUSE).await;
    }
}

/// Forgets all keys but the current one; false if somebody began to seal by one of them.
async fn forget_others(store: &Store, current: &str) -> anyhow::Result<bool> {
    for key in store.seal_keys().await?.into_iter().filter(|key| key.key_id != current) {
        if !store.remove_seal_key(&key.key_id).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Seals all records that are not sealed by the current key. The last pass finds nothing to do.
async fn seal_all(store: &Store, records: &Records, current: &str) -> anyhow::Result<usize> {
    let mut sealed = seal_secrets(store, records, current).await?;
    loop {
        let pass = pass_over(store, records).await?;
        sealed += pass.sealed;
        if pass.damaged > 0 {
            bail!("{} records cannot be read; {sealed} records were sealed by {current}", pass.damaged);
        }
        if pass.found == 0 {
            return Ok(sealed);
        }
    }
}

/// Seals the secrets of webhooks that are not sealed by the current key.
async fn seal_secrets(store: &Store, records: &Records, current: &str) -> anyhow::Result<usize> {
    let mut sealed = 0;
    for secret in store.webhook_secrets().await?.into_iter().filter(|secret| secret.sealed_by != current) {
        let webhook_id = &secret.webhook_id;
        let opened = records.open_secret(&secret);
        let opened =
            opened.with_context(|| format!("the secret of the webhook {webhook_id} cannot be read"))?;
        let (sealed_by, bytes) = records.seal_secret(webhook_id, &opened)?;
        store.reseal_webhook_secret(&secret, &sealed_by, bytes).await?;
        sealed += 1;
    }
    Ok(sealed)
}

/// What one pass over all records did.
#[derive(Default)]
struct Pass {
    /// How many records were not sealed by the current key. One that is replaced meanwhile is found again later.
    found: usize,
    sealed: usize,
    damaged: u64,
}

async fn pass_over(store: &Store, records: &Records) -> anyhow::Result<Pass> {
    let (mut pass, mut batch) = (Pass::default(), Vec::new());
    let mut progress = Progress::start("records were looked at");
    let mut rows = pin!(rows::customers(store));
    while let Some(page) = rows.try_next().await? {
        records.keep(store).await?;
        for row in &page {
            let resealed = match &row.customer {
                Ok(stored) => records.reseal(&row.account, stored).map_err(|damaged| damaged.to_string()),
                Err(reason) => Err((*reason).to_owned()),
            };
            match resealed {
                Ok(Resealed::Current) => {}
                Ok(Resealed::Changed(reseal)) => {
                    pass.found += 1;
                    batch.push(reseal);
                }
                Err(reason) => {
                    output::note(format_args!("{}: {reason}", row.key()));
                    pass.damaged += 1;
                }
            }
            if batch.len() == BATCH_ROWS {
                pass.sealed += store.reseal(std::mem::take(&mut batch)).await?;
            }
        }
        progress.add(page.len());
    }
    pass.sealed += store.reseal(batch).await?;
    progress.end();
    Ok(pass)
}

fn key_id(text: &str) -> Result<String, &'static str> {
    if is_key_id(text) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 letters, digits, '.', '_' or '-'")
    }
}
