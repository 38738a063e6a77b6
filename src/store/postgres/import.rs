//! Writes customers as they were in another database.

use std::collections::HashMap;

use diesel::{
    QueryResult, QueryableByName, sql_query,
    sql_types::{Array, BigInt, Binary, Nullable, Text},
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};

use super::{
    super::{
        types::{ImportOutcome, ImportedCustomer, Record, StoredCustomer},
        used::expired_before,
    },
    sql::outcome,
};
use crate::clock;

/// Writes customers, one array for each column, in the order in which all replicas lock rows. Returns those written.
const INSERT: &str = "\
    INSERT INTO customers \
        (account, customer_id, version, created_at, updated_at, imported_at, sealed_by, record) \
    SELECT account, customer_id, version, created_at, updated_at, $8, sealed_by, record \
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[]) \
        AS input (account, customer_id, version, created_at, updated_at, sealed_by, record) \
    ORDER BY account COLLATE \"C\", customer_id COLLATE \"C\" \
    ON CONFLICT (account, customer_id)";

const KEEP: &str = "DO NOTHING";

/// One that was created at another time is another customer with the same id, and walks that were begun before leave it
/// out. One that was put since [`MOVE_SIGNATURES`] stays.
const REPLACE: &str = "\
    DO UPDATE SET version = excluded.version, created_at = excluded.created_at, \
        updated_at = excluded.updated_at, signature_expires_at = NULL, \
        sealed_by = excluded.sealed_by, record = excluded.record, \
        created_in = CASE WHEN customers.created_at = excluded.created_at \
            THEN customers.created_in ELSE excluded.created_in END, \
        imported_at = CASE WHEN customers.created_at = excluded.created_at \
            THEN customers.imported_at ELSE excluded.imported_at END \
    WHERE customers.version <> excluded.version AND ( \
        customers.signature_expires_at IS NULL OR customers.signature_expires_at < $9 OR EXISTS ( \
            SELECT FROM used_signatures used \
            WHERE used.expires_at = customers.signature_expires_at AND used.hash = customers.version \
        ) \
    )";

/// Locks the customers of these keys, and moves the signatures that made them to the others that were used.
const MOVE_SIGNATURES: &str = concat!(
    "WITH last AS MATERIALIZED ( \
         SELECT signature_expires_at, version, ",
    outcome!(),
    " AS outcome \
         FROM customers WHERE (account, customer_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) \
         ORDER BY account, customer_id FOR UPDATE \
     ) \
     INSERT INTO used_signatures (expires_at, hash, outcome) \
     SELECT signature_expires_at, version, outcome FROM last WHERE signature_expires_at >= $3 \
     ON CONFLICT DO NOTHING"
);

const RETURNING: &str = "RETURNING account, customer_id, version";

/// The customers of these keys.
const FIND: &str = "\
    SELECT account, customer_id, version FROM customers \
    WHERE (account, customer_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))";

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = Text)]
    customer_id: String,
    #[diesel(sql_type = Binary)]
    version: Vec<u8>,
}

/// Versions by key.
type Versions = HashMap<(String, String), Vec<u8>>;

fn versions(found: Vec<Found>) -> Versions {
    found.into_iter().map(|found| ((found.account, found.customer_id), found.version)).collect()
}

/// Writes them in one transaction.
pub(super) async fn import(
    connection: &mut AsyncPgConnection,
    imported: &[ImportedCustomer],
    replace: bool,
) -> QueryResult<Vec<ImportOutcome>> {
    let written = if replace {
        let replace = async |connection: &mut AsyncPgConnection| {
            move_signatures(connection, imported).await?;
            write(connection, imported, REPLACE).await
        };
        connection.transaction(replace).await?
    } else {
        write(connection, imported, KEEP).await?
    };
    let written = versions(written);
    let there = if written.len() == imported.len() {
        Versions::new()
    } else {
        versions(find(connection, imported).await?)
    };
    let outcome = |ImportedCustomer { account, customer }: &ImportedCustomer| {
        let key = (account.as_str().to_owned(), customer.customer_id.as_str().to_owned());
        if written.contains_key(&key) {
            ImportOutcome::Written
        } else if there.get(&key).is_some_and(|version| version == customer.version.as_bytes()) {
            ImportOutcome::AlreadyThere
        } else {
            ImportOutcome::Taken
        }
    };
    Ok(imported.iter().map(outcome).collect())
}

async fn write(
    connection: &mut AsyncPgConnection,
    imported: &[ImportedCustomer],
    conflict: &str,
) -> QueryResult<Vec<Found>> {
    let (mut accounts, mut customer_ids, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut created_at, mut updated_at) = (Vec::new(), Vec::new());
    let (mut seal_keys, mut records) = (Vec::new(), Vec::new());
    for ImportedCustomer { account, customer } in imported {
        let StoredCustomer { customer_id, record: Record { bytes, sealed_by }, version, created, updated } =
            customer;
        accounts.push(account.as_str());
        customer_ids.push(customer_id.as_str());
        versions.push(version.as_bytes());
        created_at.push(created.micros());
        updated_at.push(updated.micros());
        seal_keys.push(sealed_by.as_deref());
        records.push(bytes.as_slice());
    }
    sql_query(format!("{INSERT} {conflict} {RETURNING}"))
        .bind::<Array<Text>, _>(accounts)
        .bind::<Array<Text>, _>(customer_ids)
        .bind::<Array<Binary>, _>(versions)
        .bind::<Array<BigInt>, _>(created_at)
        .bind::<Array<BigInt>, _>(updated_at)
        .bind::<Array<Nullable<Text>>, _>(seal_keys)
        .bind::<Array<Binary>, _>(records)
        .bind::<BigInt, _>(clock::now().timestamp_micros())
        .bind::<BigInt, _>(expired_before())
        .load(connection)
        .await
}

async fn move_signatures(
    connection: &mut AsyncPgConnection,
    imported: &[ImportedCustomer],
) -> QueryResult<usize> {
    let (accounts, customer_ids) = keys(imported);
    sql_query(MOVE_SIGNATURES)
        .bind::<Array<Text>, _>(accounts)
        .bind::<Array<Text>, _>(customer_ids)
        .bind::<BigInt, _>(expired_before())
        .execute(connection)
        .await
}

async fn find(connection: &mut AsyncPgConnection, imported: &[ImportedCustomer]) -> QueryResult<Vec<Found>> {
    let (accounts, customer_ids) = keys(imported);
    sql_query(FIND)
        .bind::<Array<Text>, _>(accounts)
        .bind::<Array<Text>, _>(customer_ids)
        .load(connection)
        .await
}

fn keys(imported: &[ImportedCustomer]) -> (Vec<&str>, Vec<&str>) {
    imported
        .iter()
        .map(|imported| (imported.account.as_str(), imported.customer.customer_id.as_str()))
        .unzip()
}
