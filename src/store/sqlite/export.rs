//! Reads the whole database, in one transaction.

use std::{path::PathBuf, thread, time::Duration};

use diesel::{
    connection::{Connection as _, DefaultLoadingMode},
    prelude::*,
    sql_query,
    sql_types::{Nullable, Text},
    sqlite::SqliteConnection,
};
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
    connect::Connection,
};
use crate::account::Account;

/// How long the export waits for a lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Starts the thread that reads. It waits until each part is taken, and ends when nobody takes them any more.
pub(super) fn start(database: PathBuf, account: Option<Account>) -> Result<Receiver<Part>, StoreError> {
    let (parts, received) = mpsc::channel(1);
    let export = move || {
        let account = account.as_ref().map(Account::as_str);
        let sent = Connection::open(&database, LOCK_PATIENCE).and_then(|mut connection| {
            connection
                .run(|connection| connection.transaction(|connection| send_all(connection, account, &parts)))
        });
        // The reader may be gone.
        drop(parts.blocking_send(sent.map(|()| None)));
    };
    thread::Builder::new().name("sqlite-export".to_owned()).spawn(export).map_err(StoreError::failed)?;
    Ok(received)
}

fn send_all(
    connection: &mut SqliteConnection,
    account: Option<&str>,
    parts: &Sender<Part>,
) -> QueryResult<()> {
    let mut keys = signing_keys::table
        .left_join(key_limits::table)
        .order_by((signing_keys::created_at, signing_keys::key_id))
        .select(KeyRows::as_select())
        .into_boxed();
    let mut rows = customers::table
        .order_by((customers::account, customers::created_at))
        .select((customers::account, CustomerRow::as_select()))
        .into_boxed();
    if let Some(account) = account {
        keys = keys.filter(signing_keys::account.eq(account));
        rows = rows.filter(customers::account.eq(account));
    }
    let send = |part| parts.blocking_send(Ok(Some(part))).is_ok();
    let keys = keys.load::<KeyRows>(connection)?;
    let mut is_wanted = send(Exported::Keys(keys.into_iter().map(SigningKey::try_from).collect()));
    is_wanted = is_wanted
        && send(Exported::Signatures(signatures(connection)?))
        && send_events(connection, account, &send)?;
    let mut batch = Batch::default();
    for row in rows.load_iter::<(String, CustomerRow), DefaultLoadingMode>(connection)? {
        if !is_wanted {
            return Ok(());
        }
        let row = row?;
        let record_bytes = row.1.record.len();
        if let Some(rows) = batch.add(raw(row), record_bytes) {
            is_wanted = send(Exported::Customers(rows));
        }
    }
    send(Exported::Customers(batch.take()));
    Ok(())
}

/// Those that are noted, and those that the rows of customers show.
fn signatures(connection: &mut SqliteConnection) -> QueryResult<Vec<UsedSignature>> {
    let after = expired_before();
    let noted = used_signatures::table.filter(used_signatures::expires_at.ge(after));
    let noted = noted.load(connection)?;
    let shown = customers::table.filter(customers::signature_expires_at.ge(after)).select((
        customers::version,
        customers::created_at,
        customers::updated_at,
        customers::signature_expires_at,
    ));
    Ok(used::used_signatures(noted, shown.load(connection)?))
}

/// False if nobody wants them.
fn send_events(
    connection: &mut SqliteConnection,
    account: Option<&str>,
    send: &impl Fn(Exported) -> bool,
) -> QueryResult<bool> {
    let of_account = "? IS NULL OR account = ?";
    let heads = sql_query(format!("SELECT {FEED_HEAD} FROM feed_heads WHERE {of_account} ORDER BY account"));
    let heads =
        heads.bind::<Nullable<Text>, _>(account).bind::<Nullable<Text>, _>(account).load(connection)?;
    let rows =
        sql_query(format!("SELECT {EVENT_ROW} FROM events WHERE {of_account} ORDER BY account, position"));
    let rows = rows.bind::<Nullable<Text>, _>(account).bind::<Nullable<Text>, _>(account);
    let (mut is_wanted, mut batch) = (send(Exported::Feeds(heads)), Batch::default());
    for row in rows.load_iter::<EventRow, DefaultLoadingMode>(connection)? {
        if !is_wanted {
            return Ok(false);
        }
        if let Some(rows) = batch.add(raw_event(row?), 0) {
            is_wanted = send(Exported::Events(rows));
        }
    }
    Ok(is_wanted && send(Exported::Events(batch.take())))
}
