use anyhow::bail;
use clap::Args;

use super::{database::Database, output};
use crate::{
    account::Account,
    model::{CustomerId, RequestExtensionItem},
    record,
    store::{Access, RawCustomer, Store},
};

/// Check every stored customer against the contract
///
/// Prints each violation with the account, the customer id and the field, but without the value. The exit code is 1 if
/// there is any.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    #[command(flatten)]
    database: Database,
}

const EXAMPLES: &str = "\
Examples:
  customers-api verify
  customers-api verify --database-url postgres://customers@db.example/customers";

/// How many customers are read at once.
const PAGE_ROWS: u32 = 500;

impl Verify {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let store = self.database.open(Access::Existing).await?;
        let Counts { customers, damaged } = verify(&store).await?;
        if damaged > 0 {
            bail!("{damaged} of {customers} customers do not match the contract");
        }
        output::print(format_args!("{customers} customers match the contract"))
    }
}

#[derive(Default)]
struct Counts {
    customers: u64,
    damaged: u64,
}

async fn verify(store: &Store) -> anyhow::Result<Counts> {
    let (mut counts, mut after) = (Counts::default(), None);
    loop {
        let rows = store.scan(after, PAGE_ROWS).await?;
        let Some(last) = rows.last() else { return Ok(counts) };
        after = Some((last.account.clone(), last.customer_id.clone()));
        for row in &rows {
            let found = faults(row);
            counts.customers += 1;
            counts.damaged += u64::from(!found.is_empty());
            for fault in found {
                output::print(format_args!("{}: {fault}", key(row)))?;
            }
        }
    }
}

/// The key of a row, such as `acme/c-1`. A text that is not a name or an id may hold anything, and is written `?`.
fn key(row: &RawCustomer) -> String {
    let account = row.account.parse::<Account>();
    let customer_id = row.customer_id.parse::<CustomerId>();
    let account = account.as_ref().map_or("?", Account::as_str);
    let customer_id = customer_id.as_ref().map_or("?", CustomerId::as_str);
    format!("{account}/{}", customer_id.escape_debug())
}

/// Everything that is wrong with a row, without a word of its content.
fn faults(row: &RawCustomer) -> Vec<String> {
    let mut found = Vec::new();
    if row.account.parse::<Account>().is_err() {
        found.push("the account name is malformed".to_owned());
    }
    match &row.customer {
        Err(reason) => found.push((*reason).to_owned()),
        Ok(customer) => {
            if customer.updated < customer.created {
                found.push("the last change is before the creation".to_owned());
            }
            match record::check(&customer.record) {
                Ok(items) => found.extend(items.iter().map(fault)),
                Err(damaged) => found.push(damaged.to_string()),
            }
        }
    }
    found
}

fn fault(item: &RequestExtensionItem) -> String {
    let RequestExtensionItem { field, reason: _, description } = item;
    if field.is_empty() { format!("the record {description}") } else { format!("{field} {description}") }
}
