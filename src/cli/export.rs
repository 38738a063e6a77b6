use anyhow::{bail, ensure};
use clap::Args;

use super::{
    database::Database,
    event_lines::{write_event, write_pruned, write_signature},
    ndjson::{write_customer, write_end, write_key},
    output,
    progress::Progress,
    seal_options::SealKeysFile,
};
use crate::{
    account::Account,
    record::Records,
    store::{
        Access, Exported, FeedHead, RawCustomer, RawEvent, SigningKey, Store, UnusableKey, UsedSignature,
    },
};

/// Print all keys, events and customers, a line of JSON each
///
/// The lines are the database as it is when the command begins: {"Key": …} for each key, also a revoked one, {"Signature": …}
/// for each signature that carried out a write and has not expired, {"Event": …} for what happened to customers, and after
/// {"Pruned": …} where older events are gone, then {"Customer": …}, account by account in the order of creation. Records
/// are plain in them, also those that the database keeps sealed. Endpoints of webhooks are left out. What cannot be read is
/// reported and left out; then the exit code is 1. The last line, {"End": …}, says how many came before: without it the
/// export was cut off.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Export {
    /// Print the keys, events and customers of this account only
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    account: Option<Account>,
    #[command(flatten)]
    seal: SealKeysFile,
    #[command(flatten)]
    database: Database,
}

const EXAMPLES: &str = "\
Examples:
  (umask 077 && customers-api export > customers.ndjson)
  customers-api export --account acme | jq '.Customer.CustomerID // empty'
  customers-api export | customers-api import --database-url postgres://customers@db.example/customers";

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { account, seal, database } = self;
        let store = database.open(Access::Read).await?;
        let records = seal.open(&store).await?;
        store.number_events().await?;
        let mut export = store.export(account.clone()).await?;
        let mut output = Output::new(records);
        while let Some(part) = export.next().await? {
            match part {
                Exported::Keys(keys) => keys.into_iter().try_for_each(|key| output.add_key(key))?,
                Exported::Signatures(used) => used.iter().try_for_each(|used| output.add_signature(used))?,
                Exported::Feeds(heads) => heads.iter().try_for_each(|head| output.add_pruned(head))?,
                Exported::Events(rows) => rows.iter().try_for_each(|row| output.add_event(row))?,
                Exported::Customers(rows) => rows.iter().try_for_each(|row| output.add_customer(row))?,
            }
            if !output.print()? {
                return Ok(());
            }
        }
        if !output.end()? {
            return Ok(());
        }
        let Output { keys, customers, events, damaged, progress, .. } = output;
        progress.end();
        note_webhooks(&store, account.as_ref()).await?;
        if let Some(account) = account {
            ensure!(
                keys + customers + events + damaged > 0,
                "the account {account} has no keys and no customers"
            );
        }
        if damaged > 0 {
            bail!("{damaged} keys and customers cannot be exported");
        }
        output::note(format_args!("exported {customers} customers, {keys} keys and {events} events"));
        Ok(())
    }
}

/// Says that endpoints of webhooks are left out, if there are any.
async fn note_webhooks(store: &Store, account: Option<&Account>) -> anyhow::Result<()> {
    let mut webhooks = store.webhooks().await?;
    webhooks.retain(|webhook| account.is_none_or(|account| *account == webhook.account));
    if !webhooks.is_empty() {
        output::note(format_args!(
            "note: endpoints of webhooks are left out: {}; `customers-api webhooks add` adds them to the other database",
            webhooks.len()
        ));
    }
    Ok(())
}

/// What was exported so far, and the lines that were not printed yet.
struct Output {
    records: Records,
    lines: Vec<u8>,
    keys: usize,
    customers: usize,
    events: usize,
    /// Signatures, and events that are gone.
    others: usize,
    damaged: usize,
    progress: Progress,
}

impl Output {
    fn new(records: Records) -> Self {
        let progress = Progress::start("customers were exported");
        Self { records, lines: Vec::new(), keys: 0, customers: 0, events: 0, others: 0, damaged: 0, progress }
    }

    fn add_key(&mut self, key: Result<SigningKey, UnusableKey>) -> anyhow::Result<()> {
        match key {
            Ok(key) => {
                write_key(key, &mut self.lines)?;
                self.keys += 1;
            }
            Err(UnusableKey { key_id, reason }) => {
                self.leave_out(&format!("the key {}: {reason}", key_id.escape_debug()));
            }
        }
        Ok(())
    }

    fn add_signature(&mut self, used: &UsedSignature) -> anyhow::Result<()> {
        self.others += 1;
        write_signature(used, &mut self.lines)
    }

    fn add_pruned(&mut self, head: &FeedHead) -> anyhow::Result<()> {
        let last = head.begin().filter(|last| last.position > 0);
        if let (Ok(account), Some(last)) = (head.account.parse::<Account>(), last) {
            self.others += 1;
            write_pruned(&account, &last, &mut self.lines)?;
        }
        Ok(())
    }

    fn add_event(&mut self, row: &RawEvent) -> anyhow::Result<()> {
        match (row.account.parse::<Account>(), &row.event) {
            (Ok(account), Ok(event)) => {
                write_event(account.as_str(), event, false, &mut self.lines)?;
                self.events += 1;
            }
            (Err(_), _) => {
                self.leave_out(&format!("an event at {}: the account name is malformed", row.position));
            }
            (Ok(account), Err(reason)) => {
                self.leave_out(&format!("the event {account}/{}: {reason}", row.position));
            }
        }
        Ok(())
    }

    fn add_customer(&mut self, row: &RawCustomer) -> anyhow::Result<()> {
        let read = || {
            let account = row.account.parse().map_err(|_| "the account name is malformed".to_owned())?;
            let customer = row.customer.as_ref().map_err(ToString::to_string)?;
            let fields = self.records.line(&row.account, customer).map_err(|damaged| damaged.to_string())?;
            Ok::<(Account, _, _), String>((account, customer, fields))
        };
        match read() {
            Ok((account, customer, fields)) => {
                write_customer(&account, customer, &fields, &mut self.lines)?;
                self.customers += 1;
                self.progress.add(1);
            }
            Err(reason) => self.leave_out(&format!("{}: {reason}", row.key())),
        }
        Ok(())
    }

    fn leave_out(&mut self, why: &str) {
        self.damaged += 1;
        self.progress.note(why);
    }

    /// Prints the last line. False if nobody reads it.
    fn end(&mut self) -> anyhow::Result<bool> {
        write_end((self.keys + self.customers + self.events + self.others) as u64, &mut self.lines)?;
        self.print()
    }

    /// Prints the lines. False if nobody reads them.
    fn print(&mut self) -> anyhow::Result<bool> {
        let is_read = output::print_bytes(&self.lines)?;
        self.lines.clear();
        Ok(is_read)
    }
}
