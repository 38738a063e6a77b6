//! Reads the whole database, in one transaction.

use std::{pin::pin, sync::Arc};

// Not the prelude: its `RunQueryDsl` is the synchronous one.
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult, SelectableHelper as _,
    dsl::sql,
    sql_query,
    sql_types::{Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{
    super::{
        error::StoreError,
        exported::{Exported, UsedSignature},
        feed::{EVENT_ROW, EventRow, FEED_HEAD, raw_event},
        page::{Batch, Part},
        row::{CustomerRow, KeyRows, raw},
        schema::{customers, key_limits, signing_keys, used_signatures},
        types::SigningKey,
        used::{self, expired_before},
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
    let mut is_wanted = send(Exported::Keys(keys)).await
        && send(Exported::Signatures(signatures(connection).await?)).await
        && send_events(connection, account, parts).await?;
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

/// Those that are noted, and those that the rows of customers show.
async fn signatures(connection: &mut AsyncPgConnection) -> QueryResult<Vec<UsedSignature>> {
    let after = expired_before();
    let noted = used_signatures::table.filter(used_signatures::expires_at.ge(after));
    let noted = noted.load(connection).await?;
    let shown = customers::table.filter(customers::signature_expires_at.ge(after)).select((
        customers::version,
        customers::created_at,
        customers::updated_at,
        customers::signature_expires_at,
    ));
    Ok(used::used_signatures(noted, shown.load(connection).await?))
}

/// False if nobody wants them. Those that were committed since the last ones were numbered have the positions that they get.
async fn send_events(
    connection: &mut AsyncPgConnection,
    account: Option<&str>,
    parts: &Sender<Part>,
) -> QueryResult<bool> {
    let send = async |part| parts.send(Ok(Some(part))).await.is_ok();
    let of_account = |text: String| sql_query(text).bind::<Nullable<Text>, _>(account);
    let heads = of_account(format!(
        "SELECT {FEED_HEAD} FROM feed_heads WHERE $1 IS NULL OR account = $1 ORDER BY account"
    ));
    let mut is_wanted = send(Exported::Feeds(heads.load(connection).await?)).await;
    let numbered =
        format!("SELECT {EVENT_ROW} FROM events WHERE $1 IS NULL OR account = $1 ORDER BY account, position");
    let latest = "SELECT outbox.*, \
            coalesce(newest, 0) + row_number() OVER (PARTITION BY outbox.account ORDER BY seq) AS position \
        FROM outbox LEFT JOIN feed_heads ON feed_heads.account = outbox.account \
        WHERE $1 IS NULL OR outbox.account = $1 ORDER BY outbox.account, seq";
    for events in [numbered, latest.to_owned()] {
        let mut rows = pin!(of_account(events).load_stream::<EventRow>(connection).await?);
        let mut batch = Batch::default();
        while is_wanted && let Some(row) = rows.try_next().await? {
            if let Some(rows) = batch.add(raw_event(row), 0) {
                is_wanted = send(Exported::Events(rows)).await;
            }
        }
        is_wanted = is_wanted && send(Exported::Events(batch.take())).await;
    }
    Ok(is_wanted)
}
