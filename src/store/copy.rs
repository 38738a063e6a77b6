//! What goes over the whole database: to check, copy or seal it anew.

use std::path::Path;

use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _,
    dsl::sql,
    sql_query,
    sql_types::{Bool, Nullable, Text},
};
use futures_util::future::try_join_all;

use super::{
    decide::{Change, Outcome},
    engine::{ANSWER_TIMEOUT, Engine, Store, within},
    error::StoreError,
    exported::{Export, Exported},
    feed::{EventRow, FeedHead, raw_event},
    page::{Batch, Page},
    query::either,
    row::{CustomerRow, KeyRows, raw},
    schema::{customers, feed_heads, key_limits, signing_keys, used_signatures},
    sqlite::Backup,
    types::{ImportOutcome, ImportedCustomer, RawCustomer, Reseal, SigningKey, StoredCustomer},
    used::{self, expired_before},
};
use crate::account::Account;

/// The events of an account, or of all.
const EVENTS: &str = "SELECT * FROM events WHERE $1 IS NULL OR account = $1 ORDER BY account, position";

/// On Postgres, also those that were committed since the last ones were numbered, with the positions that they get.
const LATEST_EVENTS: &str = "\
    SELECT event.*, coalesce(newest, 0) + row_number() OVER (PARTITION BY event.account ORDER BY seq, place) AS position \
    FROM outbox CROSS JOIN \
        unnest(outbox.account, customer_id, event_id, event_type, occurred_at, previous, key_id) WITH ORDINALITY \
        AS event (account, customer_id, event_id, event_type, occurred_at, previous, key_id, place) \
        LEFT JOIN feed_heads ON feed_heads.account = event.account \
    WHERE $1 IS NULL OR event.account = $1 ORDER BY event.account, seq, place";

impl Store {
    /// Reads at most `limit` rows of all accounts in the order of their keys, after this key. There are fewer of them if
    /// their records are large, but at least one until the last was read.
    pub async fn scan(
        &self,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<RawCustomer>, StoreError> {
        either!(self.read(|connection| {
            let mut rows = customers::table
                .select((customers::account, CustomerRow::as_select()))
                .order_by((customers::account, customers::customer_id))
                .limit(limit.into())
                .into_boxed();
            if let Some((account, customer_id)) = &after {
                let place = sql::<Bool>("(account, customer_id) > (").bind::<Text, _>(account);
                rows = rows.filter(place.sql(", ").bind::<Text, _>(customer_id).sql(")"));
            }
            let mut page = Page::new(limit as usize);
            each!(rows, connection, |row: (String, CustomerRow)| {
                let record_bytes = row.1.record.len();
                if !page.add(raw(row), record_bytes) {
                    break;
                }
            });
            Ok(page.rows)
        }))
    }

    /// Reads all keys and all customers, of one account if one is given, as they are now: what is written meanwhile is
    /// left out. This keeps an old snapshot open, which on SQLite lets the write-ahead log grow.
    pub async fn export(&self, account: Option<Account>) -> Result<Export, StoreError> {
        // As the index `customers_by_creation` has it.
        let (by_account, events) = match self.engine {
            Engine::Sqlite(_) => ("account", &[EVENTS][..]),
            Engine::Postgres(_) => ("account || ''", &[EVENTS, LATEST_EVENTS][..]),
        };
        either!(self.export(|connection, parts| {
            let account = account.as_ref().map(Account::as_str);
            let mut keys = signing_keys::table
                .left_join(key_limits::table)
                .order_by((signing_keys::created_at, signing_keys::key_id))
                .select(KeyRows::as_select())
                .into_boxed();
            let mut heads =
                feed_heads::table.order_by(feed_heads::account).select(FeedHead::as_select()).into_boxed();
            let mut rows = customers::table
                .order_by((sql::<Text>(by_account), customers::created_at))
                .select((customers::account, CustomerRow::as_select()))
                .into_boxed();
            if let Some(account) = account {
                keys = keys.filter(signing_keys::account.eq(account));
                heads = heads.filter(feed_heads::account.eq(account));
                rows = rows.filter(customers::account.eq(account));
            }
            let keys: Vec<KeyRows> = run!(keys.load(connection))?;
            run!(parts.send(Exported::Keys(keys.into_iter().map(SigningKey::try_from).collect())))?;
            let after = expired_before();
            let noted = used_signatures::table.filter(used_signatures::expires_at.ge(after));
            let noted = run!(noted.load(connection))?;
            let shown = customers::table.filter(customers::signature_expires_at.ge(after)).select((
                customers::version,
                customers::created_at,
                customers::updated_at,
                customers::signature_expires_at,
            ));
            let used = used::used_signatures(noted, run!(shown.load(connection))?);
            run!(parts.send(Exported::Signatures(used)))?;
            run!(parts.send(Exported::Feeds(run!(heads.load(connection))?)))?;
            let mut batch = Batch::default();
            for text in events {
                each!(sql_query(*text).bind::<Nullable<Text>, _>(account), connection, |row: EventRow| {
                    if let Some(rows) = batch.add(raw_event(row), 0) {
                        run!(parts.send(Exported::Events(rows)))?;
                    }
                });
            }
            run!(parts.send(Exported::Events(batch.take())))?;
            let mut batch = Batch::default();
            each!(rows, connection, |row: (String, CustomerRow)| {
                let record_bytes = row.1.record.len();
                if let Some(rows) = batch.add(raw(row), record_bytes) {
                    run!(parts.send(Exported::Customers(rows)))?;
                }
            });
            run!(parts.send(Exported::Customers(batch.take())))
        }))
    }

    /// Writes customers as they were in another database. One that is there already in another version is left as it is, or
    /// replaced. Returns the outcomes in the order of the customers. After an error, some of them may be written.
    pub async fn import(
        &self,
        customers: &[ImportedCustomer],
        replace: bool,
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        let writes = customers.iter().map(async |ImportedCustomer { account, customer }| {
            let StoredCustomer { customer_id, record, version, created, updated } = customer.clone();
            let (created, updated) = (created.micros(), updated.micros());
            let change = Change::Import { record, version, created, updated, replace };
            Ok(ImportOutcome::from(self.write(account.into(), customer_id, change).await?))
        });
        try_join_all(writes).await
    }

    /// Begins to copy a SQLite database, as it is now, into an empty file. Others may read and write meanwhile.
    pub async fn backup(&self, file: &Path) -> Result<Backup, StoreError> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.backup(file).await,
            Engine::Postgres(_) => {
                Err(StoreError::failed("only a SQLite database can be copied into a file"))
            }
        }
    }

    /// Erases from the files of a SQLite database what was deleted or replaced, without waiting for the next time. On
    /// Postgres the server decides when its files are cleaned.
    pub async fn erase(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.erase().await,
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Writes records in another form. Returns how many customers still had the version.
    pub async fn reseal(&self, records: Vec<Reseal>) -> Result<usize, StoreError> {
        let writes = records.into_iter().map(async |Reseal { account, customer_id, version, record }| {
            let change = Change::Reseal { record, version };
            let told = within(ANSWER_TIMEOUT, self.writes.submit((account, customer_id), change)).await?;
            Ok(told.outcome == Outcome::Updated(version))
        });
        let resealed: Vec<bool> = try_join_all(writes).await?;
        Ok(resealed.into_iter().filter(|was_written| *was_written).count())
    }
}
