//! Reads the whole database, in one transaction.

use std::{pin::pin, sync::Arc};

use futures_util::TryStreamExt as _;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_postgres::{Client, Row, types::ToSql};

use super::{
    super::{
        error::StoreError,
        page::{Part, Parts},
        row::{CustomerRow, KeyLimitsRow, KeyRows, SigningKeyRow, raw},
        types::{Exported, SigningKey},
    },
    connect::Connector,
    error::store_error,
};
use crate::account::Account;

/// One snapshot for all that is read, however long its reader takes.
const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

const KEYS: &str = "\
    SELECT key_id, account, algorithm, public_key, created_at, k.revoked_at, scope, expires_at, l.revoked_at \
    FROM signing_keys k LEFT JOIN key_limits l USING (key_id) \
    WHERE $1::text IS NULL OR account = $1 ORDER BY created_at, key_id";

const CUSTOMERS: &str = "\
    SELECT account, customer_id, version, created_at, updated_at, sealed_by, record FROM customers \
    WHERE $1::text IS NULL OR account = $1 ORDER BY account || '', created_at";

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

fn key(row: &Row) -> Result<KeyRows, tokio_postgres::Error> {
    let key_id: String = row.try_get(0)?;
    let limits = row.try_get::<_, Option<String>>(6)?.map(|scope| {
        Ok(KeyLimitsRow {
            key_id: key_id.clone(),
            scope,
            expires_at: row.try_get(7)?,
            revoked_at: row.try_get(8)?,
        })
    });
    let limits = limits.transpose()?;
    let key = SigningKeyRow {
        key_id,
        account: row.try_get(1)?,
        algorithm: row.try_get(2)?,
        public_key: row.try_get(3)?,
        created_at: row.try_get(4)?,
        revoked_at: row.try_get(5)?,
    };
    Ok((key, limits))
}

fn customer(row: &Row) -> Result<(String, CustomerRow), tokio_postgres::Error> {
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
