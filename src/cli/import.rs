use std::{
    collections::HashSet,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use tokio::{
    runtime::Builder,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use super::{
    database::Database,
    lines::{Lines, TooLong},
    ndjson::{self, Entry, Identity},
    output,
    progress::Progress,
    seal_options::SealKeysFile,
};
use crate::{
    account::Account,
    api::BODY_BYTES_MAX,
    model::{CustomerId, CustomerInput},
    record::{Records, SealError},
    signature::PublicKey,
    store::{
        Access, ImportOutcome, ImportedCustomer, MovedEvent, MovedOutcome, SigningKey, Store, StoreError,
        StoredCustomer, UsedSignature,
    },
};

/// Read the keys, events and customers that `export` printed
///
/// Customers keep their versions and timestamps, and are sealed by the current seal key if there is one. Each is held
/// against the contract. A line that cannot be imported is reported by its number, and the others are imported; then
/// the exit code is 1; so it is if the last line of the export is missing. What is there already in the same version is
/// passed over, so that an import that was interrupted can be repeated. The service may run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// The file with the lines; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Replace customers that are there in another version, instead of reporting them
    #[arg(long)]
    replace: bool,
    /// Accept lines without the last one of an export: a part of one, or one of version 0.1.0
    #[arg(long)]
    allow_incomplete: bool,
    #[command(flatten)]
    seal: SealKeysFile,
    #[command(flatten)]
    database: Database,
}

const EXAMPLES: &str = "\
Examples:
  customers-api import customers.ndjson
  customers-api export | customers-api import --database-url postgres://customers@db.example/customers";

/// The longest line: the longest body, and what an export has beside it.
const LINE_BYTES_MAX: usize = BODY_BYTES_MAX + 4096;

/// How many customers are written at once, and about how many bytes. Writers of the service wait for as long as that
/// takes.
const BATCH_CUSTOMERS_MAX: usize = 1000;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

const BATCH_CHANGES_MAX: usize = 1000;

/// How long a database that is not available, or locked by others, is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { file, replace, allow_incomplete, seal, database } = self;
        let shown = file.display();
        let mut lines = Lines::open(&file, LINE_BYTES_MAX).with_context(|| format!("cannot read {shown}"))?;
        let is_new = database.is_new();
        let store = database.open(Access::Create).await?;
        let records = seal.open(&store).await?;
        records.begin(&store).await?;
        let mut importer = Importer::new(store, records, replace);
        while let Some((number, text)) = lines.next().with_context(|| format!("cannot read {shown}"))? {
            importer.add(number, text).await?;
        }
        importer.flush_changes_if(1).await?;
        importer.flush().await?;
        importer.settle().await?;
        let is_complete = allow_incomplete || importer.open_lines == Some(0);
        let Importer { store, records, counts, progress, .. } = importer;
        progress.end();
        records.end(&store).await;
        if replace {
            store.erase().await.context("the previous records are not erased from the files yet")?;
        }
        if is_new {
            database.note_that_it_is_new();
        }
        if counts.refused > 0 {
            bail!("{} lines were not imported; {counts}", counts.refused);
        }
        ensure!(is_complete, "the export was cut off: its last line, {{\"End\": …}}, is missing; {counts}");
        output::report(&counts.to_string())
    }
}

/// What became of the lines.
#[derive(Default)]
struct Counts {
    keys: u64,
    keys_there: u64,
    customers: u64,
    customers_there: u64,
    events: u64,
    events_there: u64,
    refused: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, keys_there, customers, customers_there, events, events_there, refused: _ } = self;
        write!(
            formatter,
            "imported {customers} customers and {keys} keys; \
             {customers_there} customers and {keys_there} keys were there already"
        )?;
        match (events, events_there) {
            (0, 0) => Ok(()),
            _ => write!(formatter, "; imported {events} events; {events_there} were there already"),
        }
    }
}

struct Importer {
    store: Store,
    records: Records,
    replace: bool,
    batch: Batch,
    changes: Changes,
    writing: Option<Writing>,
    counts: Counts,
    /// How many lines came since the last end of an export; `None` before the first line.
    open_lines: Option<u64>,
    progress: Progress,
}

/// Customers that are not written yet. Their keys differ.
#[derive(Default)]
struct Batch {
    customers: Vec<ImportedCustomer>,
    /// The numbers of their lines.
    numbers: Vec<u64>,
    keys: HashSet<(Account, CustomerId)>,
    bytes: usize,
}

/// Events and signatures that are not written yet.
#[derive(Default)]
struct Changes {
    events: Vec<MovedEvent>,
    /// The numbers of their lines.
    numbers: Vec<u64>,
    signatures: Vec<UsedSignature>,
}

/// A batch that is being written while the next lines are read.
struct Writing {
    numbers: Vec<u64>,
    outcomes: JoinHandle<Result<Vec<ImportOutcome>, SealError>>,
}

impl Importer {
    fn new(store: Store, records: Records, replace: bool) -> Self {
        let progress = Progress::start("lines were read");
        let (batch, changes, counts) = (Batch::default(), Changes::default(), Counts::default());
        Self { store, records, replace, batch, changes, writing: None, counts, open_lines: None, progress }
    }

    async fn add(&mut self, number: u64, text: Result<&[u8], TooLong>) -> anyhow::Result<()> {
        self.progress.add(1);
        let line = match text {
            Ok(line) if line.trim_ascii().is_empty() => return Ok(()),
            Ok(line) => ndjson::read(line),
            Err(TooLong) => Err(vec![format!("is longer than {LINE_BYTES_MAX} bytes")]),
        };
        let before = self.open_lines.unwrap_or_default();
        self.open_lines = Some(before + 1);
        match line {
            Ok(Entry::End(lines)) => {
                self.open_lines = Some(0);
                if lines != before {
                    self.refuse(
                        number,
                        &[format!("{lines} lines were exported before this one, and {before} came")],
                    );
                }
                Ok(())
            }
            Ok(Entry::Key(key)) => self.add_key(number, key).await,
            Ok(Entry::Signature(used)) => {
                self.changes.signatures.push(used);
                self.flush_changes_if(BATCH_CHANGES_MAX).await
            }
            Ok(Entry::Event(event)) => {
                self.changes.events.push(event);
                self.changes.numbers.push(number);
                self.flush_changes_if(BATCH_CHANGES_MAX).await
            }
            Ok(Entry::Customer(identity, input)) => self.add_customer(number, identity, &input).await,
            Err(faults) => {
                self.refuse(number, &faults);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, number: u64, faults: &[String]) {
        self.counts.refused += 1;
        for fault in faults {
            self.progress.note(format_args!("line {number}: {fault}"));
        }
    }

    async fn add_key(&mut self, number: u64, key: SigningKey) -> anyhow::Result<()> {
        if self.store.add_signing_key(key.clone()).await? {
            self.counts.keys += 1;
            return Ok(());
        }
        let there = self.store.signing_keys().await?;
        let there = there.into_iter().flatten().find(|there| there.key_id == key.key_id);
        if !there.is_some_and(|there| is_same(&there, &key)) {
            self.refuse(number, &["the key id is in use by another key".to_owned()]);
            return Ok(());
        }
        self.counts.keys_there += 1;
        if let Some(revoked) = key.revoked {
            // Nothing happens if it is revoked already.
            self.store.revoke_signing_key(&key.key_id, revoked).await?;
        }
        Ok(())
    }

    async fn add_customer(
        &mut self,
        number: u64,
        identity: Identity,
        input: &CustomerInput,
    ) -> anyhow::Result<()> {
        // The events say whether the customer came to its version here.
        self.flush_changes_if(1).await?;
        let Identity { account, customer_id, version, created, updated } = identity;
        self.records.keep(&self.store).await?;
        let record = self.records.encode(&account, &customer_id, version, input)?;
        let bytes = record.bytes.len();
        let key = (account.clone(), customer_id.clone());
        let batch = &self.batch;
        if batch.customers.len() == BATCH_CUSTOMERS_MAX
            || batch.bytes + bytes > BATCH_BYTES_MAX
            || batch.keys.contains(&key)
        {
            self.flush().await?;
        }
        let customer = StoredCustomer { customer_id, record, version, created, updated };
        self.batch.customers.push(ImportedCustomer { account, customer });
        self.batch.numbers.push(number);
        self.batch.keys.insert(key);
        self.batch.bytes += bytes;
        Ok(())
    }

    /// Writes events and signatures, if there are at least so many, once the customers before them are written.
    async fn flush_changes_if(&mut self, min: usize) -> anyhow::Result<()> {
        if self.changes.events.len() + self.changes.signatures.len() < min {
            return Ok(());
        }
        self.flush().await?;
        self.settle().await?;
        let Changes { events, numbers, signatures } = std::mem::take(&mut self.changes);
        let store = &self.store;
        patiently(async || Ok(store.remember_signatures(signatures.clone()).await?)).await?;
        let outcomes = patiently(async || Ok(store.take_over_events(events.clone()).await?)).await?;
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                MovedOutcome::Written => self.counts.events += 1,
                MovedOutcome::AlreadyThere => self.counts.events_there += 1,
                MovedOutcome::Taken => {
                    self.refuse(number, &["another event is at this position already".to_owned()]);
                }
                MovedOutcome::Gap => self.refuse(number, &["an event before this one is missing".to_owned()]),
            }
        }
        Ok(())
    }

    /// Begins to write the batch, once the one before it is written.
    async fn flush(&mut self) -> anyhow::Result<()> {
        self.settle().await?;
        let Batch { customers, numbers, .. } = std::mem::take(&mut self.batch);
        if customers.is_empty() {
            return Ok(());
        }
        let (store, records, replace) = (self.store.clone(), self.records.clone(), self.replace);
        // On a thread of its own: to read lines blocks this one, for as long as their writer takes.
        let outcomes = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_time().build();
            runtime
                .map_err(|error| StoreError::Failed(error.into()))?
                .block_on(write(&store, &records, &customers, replace))
        });
        self.writing = Some(Writing { numbers, outcomes });
        Ok(())
    }

    /// Waits until the batch is written that was begun last, and notes what became of it.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let Some(Writing { numbers, outcomes }) = self.writing.take() else { return Ok(()) };
        for (number, outcome) in numbers.into_iter().zip(outcomes.await??) {
            match outcome {
                ImportOutcome::Written => self.counts.customers += 1,
                ImportOutcome::AlreadyThere => self.counts.customers_there += 1,
                ImportOutcome::Taken => {
                    self.refuse(number, &["the customer is there already, in another version".to_owned()]);
                }
            }
        }
        Ok(())
    }
}

/// Customers may be written twice: the second time, they are there already.
async fn write(
    store: &Store,
    records: &Records,
    customers: &[ImportedCustomer],
    replace: bool,
) -> Result<Vec<ImportOutcome>, SealError> {
    patiently(async || {
        // They may have waited for long, and their key may have been replaced meanwhile.
        records.keep(store).await?;
        Ok(store.import(customers, replace).await?)
    })
    .await
}

/// Tries something again for a while, as long as the database is not available.
async fn patiently<T>(write: impl AsyncFn() -> Result<T, SealError>) -> Result<T, SealError> {
    let start = Instant::now();
    loop {
        match write().await {
            Err(SealError::Store(StoreError::Busy | StoreError::Unavailable(_)))
                if start.elapsed() < PATIENCE =>
            {
                sleep(RETRY_PAUSE).await;
            }
            written => return written,
        }
    }
}

/// Whether two keys of the same id are the same key of the same account, which may do the same for as long.
fn is_same(one: &SigningKey, other: &SigningKey) -> bool {
    let pem = |key: &SigningKey| PublicKey::from_pem(&key.public_key).map(|key| key.to_pem().to_owned()).ok();
    let said =
        |key: &SigningKey| (key.account.clone(), key.algorithm.clone(), key.scope, key.expires, pem(key));
    said(one) == said(other)
}
