use std::pin::pin;

use anyhow::{bail, ensure};
use clap::Args;
use futures_util::TryStreamExt as _;

use super::{
    chains::{self, Findings},
    database::Database,
    output,
    progress::Progress,
    rows,
    seal_options::SealKeysFile,
};
use crate::{
    model::RequestExtensionItem,
    record::Records,
    store::{Access, Collection, RawCustomer, Store},
};

/// Check every stored customer against the contract, and against its events
///
/// Prints each violation with the account, the customer id and the field, but without the value. The events of an account must
/// be all there, and a customer must be in the version of its last event. The exit code is 1 if anything is wrong.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    #[command(flatten)]
    seal: SealKeysFile,
    #[command(flatten)]
    database: Database,
}

const EXAMPLES: &str = "\
Examples:
  customers-api verify
  customers-api verify --database-url postgres://customers@db.example/customers";

impl Verify {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let store = self.database.open(Access::Read).await?;
        let records = self.seal.open(&store).await?;
        let Counts { customers, damaged } = verify(&store, &records).await?;
        let Findings { events, faults, notes } = chains::check(&store).await?;
        for note in notes {
            output::note(format_args!("note: {note}: an older version of the service wrote in between"));
        }
        for fault in &faults {
            output::print(fault)?;
        }
        if damaged > 0 {
            bail!("{damaged} of {customers} customers do not match the contract");
        }
        ensure!(faults.is_empty(), "{} faults in {events} events", faults.len());
        output::print(format_args!("{customers} customers match the contract"))
    }
}

#[derive(Default)]
struct Counts {
    customers: u64,
    damaged: u64,
}

async fn verify(store: &Store, records: &Records) -> anyhow::Result<Counts> {
    let (mut counts, mut rows) = (Counts::default(), pin!(rows::customers(store)));
    let mut progress = Progress::start("customers were checked");
    while let Some(page) = rows.try_next().await? {
        for row in &page {
            let found = violations(records, row);
            counts.customers += 1;
            counts.damaged += u64::from(!found.is_empty());
            for violation in found {
                output::print(format_args!("{}: {violation}", row.key()))?;
            }
        }
        progress.add(page.len());
    }
    progress.end();
    Ok(counts)
}

/// Everything that is wrong with a row, without a word of its content.
fn violations(records: &Records, row: &RawCustomer) -> Vec<String> {
    let mut found = Vec::new();
    if Collection::parse(&row.account).is_err() {
        found.push("the account name is malformed".to_owned());
    }
    match &row.customer {
        Err(reason) => found.push((*reason).to_owned()),
        Ok(customer) => {
            if customer.updated < customer.created {
                found.push("the last change is before the creation".to_owned());
            }
            match records.check(&row.account, customer) {
                Ok(items) => found.extend(items.iter().map(describe)),
                Err(damaged) => found.push(damaged.to_string()),
            }
        }
    }
    found
}

/// A violation, without the value.
pub(super) fn describe(item: &RequestExtensionItem) -> String {
    let RequestExtensionItem { field, reason: _, description } = item;
    if field.is_empty() { format!("the record {description}") } else { format!("{field} {description}") }
}
