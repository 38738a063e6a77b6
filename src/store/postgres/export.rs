//! Reads the whole database, in one transaction.

use std::{pin::pin, sync::Arc};

// Not the prelude: its `RunQueryDsl` is the synchronous one.
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult, SelectableHelper as _, dsl::sql, sql_types::Text,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{
    super::{
        error::StoreError,
        page::{Batch, Part},
        row::{CustomerRow, KeyRows, raw},
        schema::{customers, key_limits, signing_keys},
        types::{Exported, SigningKey},
    },
    connect::Connector,
};
use crate::account::Account;

/// One snapshot for all that is read, however long its reader takes.
const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// Starts the task that reads. It waits until each part is taken, and ends when nobody takes them any more.
pub(super) async fn start(
    connector: &Arc<Connector>,
    account: Option<Account>,
) -> Result<Receiver<Part>, StoreError> {
    let (client, driver) = connector.connect_to_read().await?;
    let mut connection = AsyncPgConnection::try_from(client).await.map_err(StoreError::unavailable)?;
    let (parts, received) = mpsc::channel(1);
    connector.runtime.spawn(async move {
        let _driver = driver;
        let sent = send_all(&mut connection, account.as_ref().map(Account::as_str), &parts).await;
        // The reader may be gone.
        drop(parts.send(sent.map(|()| None).map_err(StoreError::unavailable)).await);
    });
    Ok(received)
}

async fn send_all(
    connection: &mut AsyncPgConnection,
    account: Option<&str>,
    parts: &Sender<Part>,
) -> QueryResult<()> {
    let mut keys = signing_keys::table
        .left_join(key_limits::table)
        .order_by((signing_keys::created_at, signing_keys::key_id))
        .select(KeyRows::as_select())
        .into_boxed();
    // As the index `customers_by_creation` has it.
    let mut rows = customers::table
        .order_by((sql::<Text>("account || ''"), customers::created_at))
        .select((customers::account, CustomerRow::as_select()))
        .into_boxed();
    if let Some(account) = account {
        keys = keys.filter(signing_keys::account.eq(account));
        rows = rows.filter(customers::account.eq(account));
    }
    connection.batch_execute(BEGIN).await?;
    let send = async |part| parts.send(Ok(Some(part))).await.is_ok();
    let keys = keys.load::<KeyRows>(connection).await?;
    let keys = keys.into_iter().map(SigningKey::try_from).collect();
    let mut is_wanted = send(Exported::Keys(keys)).await;
    let (mut rows, mut batch) = (pin!(rows.load_stream(connection).await?), Batch::default());
    while is_wanted && let Some(row) = rows.try_next().await? {
        let row: (String, CustomerRow) = row;
        let record_bytes = row.1.record.len();
        if let Some(rows) = batch.add(raw(row), record_bytes) {
            is_wanted = send(Exported::Customers(rows)).await;
        }
    }
    send(Exported::Customers(batch.take())).await;
    Ok(())
}
