//! Reads the whole database, in one transaction.

use std::{pin::pin, sync::Arc};

use futures_util::TryStreamExt as _;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_postgres::{Client, Error as PostgresError, Row, types::ToSql};

use super::{
    super::{
        decide::Current,
        error::StoreError,
        exported::{Exported, UsedSignature},
        feed::raw_event,
        page::{Part, Parts},
        row::{CurrentRow, CustomerRow, SigningKeyRow, raw},
        types::SigningKey,
        used::{expired_before, used_signature},
    },
    connect::Connector,
    error::store_error,
    moved,
};
use crate::account::Account;

/// One snapshot for all that is read, however long its reader takes.
const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

const KEYS: &str = "\
    SELECT key_id, account, algorithm, public_key, created_at, revoked_at FROM signing_keys \
    WHERE $1::text IS NULL OR account = $1 ORDER BY created_at, key_id";

const CUSTOMERS: &str = "\
    SELECT account, customer_id, version, created_at, updated_at, sealed_by, record FROM customers \
    WHERE $1::text IS NULL OR account = $1 ORDER BY account || '', created_at";

/// Those that are noted, and those that the rows of customers show.
const SIGNATURES: &str = "SELECT expires_at, hash, outcome FROM used_signatures WHERE expires_at >= $1";

const SHOWN: &str = "\
    SELECT version, created_at, updated_at, signature_expires_at FROM customers WHERE signature_expires_at >= $1";

const HEADS: &str = "\
    SELECT account, newest, pruned, pruned_id, pruned_at FROM feed_heads \
    WHERE $1::text IS NULL OR account = $1 ORDER BY account";

const EVENTS: &str = "\
    SELECT account, position, customer_id, event_id, event_type, occurred_at, previous, key_id FROM events \
    WHERE $1::text IS NULL OR account = $1 ORDER BY account, position";

/// Events that were committed since the last ones were numbered, with the positions that they get.
const LATEST_EVENTS: &str = "\
    SELECT outbox.account, coalesce(newest, 0) + row_number() OVER (PARTITION BY outbox.account ORDER BY seq), \
        customer_id, event_id, event_type, occurred_at, previous, key_id \
    FROM outbox LEFT JOIN feed_heads ON feed_heads.account = outbox.account \
    WHERE $1::text IS NULL OR outbox.account = $1 ORDER BY outbox.account, seq";

/// Starts the task that reads. It waits until each part is taken, and ends when nobody takes them any more.
pub(super) async fn start(
    connector: &Arc<Connector>,
    account: Option<Account>,
) -> Result<Receiver<Part>, StoreError> {
    let (client, driver) = connector.connect_to_read().await?;
    let (parts, received) = mpsc::channel(1);
    connector.runtime.spawn(async move {
        let _driver = driver;
        let sent = send_all(&client, account.as_ref().map(Account::as_str), &parts).await;
        // The reader may be gone.
        drop(parts.send(sent.map(|()| None)).await);
    });
    Ok(received)
}

async fn send_all(client: &Client, account: Option<&str>, parts: &Sender<Part>) -> Result<(), StoreError> {
    let failed = |error| store_error(&error);
    let send = async |part| parts.send(Ok(Some(part))).await.is_ok();
    client.batch_execute(BEGIN).await.map_err(failed)?;
    let keys = client.query(KEYS, &[&account]).await.map_err(failed)?;
    let keys = keys.iter().map(|row| key(row).map(SigningKey::try_from)).collect::<Result<_, _>>();
    let mut is_wanted = send(Exported::Keys(keys.map_err(failed)?)).await;
    let parameters: [&(dyn ToSql + Sync); 1] = [&account];
    is_wanted = is_wanted
        && send(Exported::Signatures(signatures(client).await.map_err(failed)?)).await
        && send_events(client, account, parts).await.map_err(failed)?;
    let rows = client.query_raw(CUSTOMERS, parameters).await.map_err(failed)?;
    let (mut rows, mut batch) = (pin!(rows), Parts::default());
    while is_wanted && let Some(row) = rows.try_next().await.map_err(failed)? {
        let row = customer(&row).map_err(failed)?;
        let record_bytes = row.1.record.len();
        if let Some(rows) = batch.add(raw(row), record_bytes) {
            is_wanted = send(Exported::Customers(rows)).await;
        }
    }
    send(Exported::Customers(batch.take())).await;
    Ok(())
}

async fn signatures(client: &Client) -> Result<Vec<UsedSignature>, PostgresError> {
    let after = expired_before();
    let mut signatures = Vec::new();
    for row in client.query(SIGNATURES, &[&after]).await? {
        signatures.extend(used_signature(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    for row in client.query(SHOWN, &[&after]).await? {
        let row = CurrentRow(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let shown = Current::from(row).shown();
        signatures.extend(shown.map(|(signature, outcome)| UsedSignature { signature, outcome }));
    }
    Ok(signatures)
}

/// False if nobody wants them.
async fn send_events(
    client: &Client,
    account: Option<&str>,
    parts: &Sender<Part>,
) -> Result<bool, PostgresError> {
    let send = async |part| parts.send(Ok(Some(part))).await.is_ok();
    let heads = client.query(HEADS, &[&account]).await?;
    let heads = heads.iter().map(moved::head).collect::<Result<_, _>>()?;
    let mut is_wanted = send(Exported::Feeds(heads)).await;
    for statement in [EVENTS, LATEST_EVENTS] {
        let parameters: [&(dyn ToSql + Sync); 1] = [&account];
        let (mut rows, mut batch) = (pin!(client.query_raw(statement, parameters).await?), Parts::default());
        while is_wanted && let Some(row) = rows.try_next().await? {
            if let Some(rows) = batch.add(raw_event(moved::event(&row)?), 0) {
                is_wanted = send(Exported::Events(rows)).await;
            }
        }
        is_wanted = is_wanted && send(Exported::Events(batch.take())).await;
    }
    Ok(is_wanted)
}

fn key(row: &Row) -> Result<SigningKeyRow, PostgresError> {
    Ok(SigningKeyRow {
        key_id: row.try_get(0)?,
        account: row.try_get(1)?,
        algorithm: row.try_get(2)?,
        public_key: row.try_get(3)?,
        created_at: row.try_get(4)?,
        revoked_at: row.try_get(5)?,
    })
}

fn customer(row: &Row) -> Result<(String, CustomerRow), PostgresError> {
    let customer = CustomerRow {
        customer_id: row.try_get(1)?,
        version: row.try_get(2)?,
        created_at: row.try_get(3)?,
        updated_at: row.try_get(4)?,
        sealed_by: row.try_get(5)?,
        record: row.try_get(6)?,
    };
    Ok((row.try_get(0)?, customer))
}
