//! Reads the whole database, in one transaction.

use std::{path::PathBuf, thread, time::Duration};

use diesel::{
    connection::{Connection as _, DefaultLoadingMode},
    prelude::*,
    sqlite::SqliteConnection,
};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{
    super::{
        error::StoreError,
        page::{Batch, Part},
        row::{CustomerRow, KeyRows, raw},
        schema::{customers, key_limits, signing_keys},
        types::{Exported, SigningKey},
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
