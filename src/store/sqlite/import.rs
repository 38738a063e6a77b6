//! Writes customers as they were in another database.

use diesel::{prelude::*, sqlite::SqliteConnection};

use super::{
    super::{
        row::NewRow,
        types::{ImportOutcome, ImportedCustomer, StoredCustomer},
    },
    last_write::LastWrite,
    sql::{Insert, RaiseHighWater, Replace, SelectNewestSeq},
};

/// Writes them in one transaction.
pub(super) fn import(
    connection: &mut SqliteConnection,
    imported: &[ImportedCustomer],
    replace: bool,
) -> QueryResult<Vec<ImportOutcome>> {
    connection.immediate_transaction(|connection| {
        let newest_seq: i64 = SelectNewestSeq.get_result(connection)?;
        let outcomes = (newest_seq + 1..).zip(imported);
        let outcomes = outcomes.map(|(seq, imported)| write(connection, seq, imported, replace));
        let outcomes = outcomes.collect::<QueryResult<Vec<_>>>()?;
        let newest = imported.iter().map(|imported| imported.customer.created.micros()).max();
        if let Some(timestamp) = newest {
            RaiseHighWater { timestamp, seq: 0 }.execute(connection)?;
        }
        Ok(outcomes)
    })
}

fn write(
    connection: &mut SqliteConnection,
    seq: i64,
    ImportedCustomer { account, customer }: &ImportedCustomer,
    replace: bool,
) -> QueryResult<ImportOutcome> {
    let StoredCustomer { customer_id, record, version, created, updated } = customer;
    let (account, customer_id) = (account.as_str(), customer_id.as_str());
    let (created_at, updated_at) = (created.micros(), updated.micros());
    let row = NewRow {
        seq,
        account,
        customer_id,
        version,
        created_at,
        updated_at,
        signature_expires_at: None,
        record,
    };
    if Insert(&row).execute(connection)? == 1 {
        return Ok(ImportOutcome::Written);
    }
    let there = LastWrite::find(connection, account, customer_id)?;
    if there.as_ref().is_some_and(|there| there.version() == *version) {
        return Ok(ImportOutcome::AlreadyThere);
    }
    if !replace {
        return Ok(ImportOutcome::Taken);
    }
    if let Some(there) = there {
        there.keep_signature(connection)?;
    }
    Replace(&row).execute(connection)?;
    Ok(ImportOutcome::Written)
}
