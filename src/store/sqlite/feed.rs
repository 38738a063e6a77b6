//! Events: read, pruned, and taken over from another database.

use std::collections::BTreeSet;

use diesel::{
    Connection as _, OptionalExtension as _, QueryResult, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Binary, Nullable, Text},
    sqlite::SqliteConnection,
};

use super::{
    super::{
        exported::UsedSignature,
        feed::{EVENT_ROW, EventRow, FEED_HEAD, FeedHead, FeedQuery},
        moved::{Destination, MovedEvent, MovedOutcome},
    },
    sql::{InsertEvent, InsertUsed},
};
use crate::signature_id::SignatureId;

/// How many events are pruned in one step. The writer waits while one is made.
pub(super) const PRUNE_EVENTS_MAX: i64 = 500;

/// How many accounts are noted in one step.
const NOTED_ACCOUNTS_MAX: i64 = 500;

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    account: String,
}

#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Binary)]
    event_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    occurred_at: i64,
}

/// The head of an account, and the rows that a page is made of, as they are at the same time.
pub(super) fn read(
    query: &FeedQuery,
    connection: &mut SqliteConnection,
) -> QueryResult<(Option<FeedHead>, Vec<EventRow>)> {
    connection.transaction(|connection| {
        let head = head(&query.account, connection)?;
        let Some(found) = &head else { return Ok((None, Vec::new())) };
        let first = query.first_position().unwrap_or(found.newest);
        let of_customer = query.customer_id.as_ref().map_or("? IS NULL", |_| "customer_id = ?");
        let rows = sql_query(format!(
            "SELECT {EVENT_ROW} FROM events WHERE account = ? AND {of_customer} AND position >= ? \
             ORDER BY position LIMIT ?"
        ));
        let rows = rows
            .bind::<Text, _>(&query.account)
            .bind::<Nullable<Text>, _>(query.customer_id.as_deref())
            .bind::<BigInt, _>(first)
            .bind::<BigInt, _>(query.rows_max())
            .load(connection)?;
        Ok((head, rows))
    })
}

fn head(account: &str, connection: &mut SqliteConnection) -> QueryResult<Option<FeedHead>> {
    sql_query(format!("SELECT {FEED_HEAD} FROM feed_heads WHERE account = ?"))
        .bind::<Text, _>(account)
        .get_result(connection)
        .optional()
}

/// The newest positions of all accounts.
pub(super) fn newest(connection: &mut SqliteConnection) -> QueryResult<Vec<(String, i64)>> {
    let rows: Vec<Newest> = sql_query("SELECT account, newest FROM feed_heads").load(connection)?;
    Ok(rows.into_iter().map(|Newest { account, newest }| (account, newest)).collect())
}

pub(super) fn heads(connection: &mut SqliteConnection) -> QueryResult<Vec<FeedHead>> {
    sql_query(format!("SELECT {FEED_HEAD} FROM feed_heads ORDER BY account")).load(connection)
}

/// Rows of all accounts in the order of account, customer and position, after this place.
pub(super) fn scan(
    after: &(String, String, i64),
    limit: u32,
    connection: &mut SqliteConnection,
) -> QueryResult<Vec<EventRow>> {
    let (account, customer_id, position) = after;
    let rows = sql_query(format!(
        "SELECT {EVENT_ROW} FROM events INDEXED BY events_by_customer \
         WHERE (account, customer_id, position) > (?, ?, ?) ORDER BY account, customer_id, position LIMIT ?"
    ));
    rows.bind::<Text, _>(account)
        .bind::<Text, _>(customer_id)
        .bind::<BigInt, _>(position)
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)
}

/// Makes one step of pruning: prunes some events of the account whose oldest event is the oldest of all, if it happened before
/// this time, in microseconds since the Unix epoch. Returns whether there was anything to do.
pub(super) fn prune(before: i64, connection: &mut SqliteConnection) -> QueryResult<bool> {
    let due = sql_query("SELECT account FROM feed_heads WHERE oldest_at < ? ORDER BY oldest_at LIMIT 1");
    let due = due.bind::<BigInt, _>(before).get_result::<Named>(connection).optional()?;
    match due {
        Some(Named { account }) => prune_account(&account, before, connection).map(|()| true),
        None => note_oldest(connection),
    }
}

/// Notes when the oldest event of some accounts happened, for which nobody has done so. Returns whether there were any. They are
/// looked for before the writer has to wait.
fn note_oldest(connection: &mut SqliteConnection) -> QueryResult<bool> {
    let unknown: Vec<Named> = sql_query(
        "SELECT account FROM feed_heads WHERE oldest_at IS NULL AND newest > pruned AND EXISTS ( \
             SELECT 1 FROM events WHERE events.account = feed_heads.account AND position > pruned \
         ) LIMIT ?",
    )
    .bind::<BigInt, _>(NOTED_ACCOUNTS_MAX)
    .load(connection)?;
    connection.transaction(|connection| {
        for Named { account } in &unknown {
            let note = sql_query(
                "UPDATE feed_heads SET oldest_at = ( \
                     SELECT occurred_at FROM events WHERE events.account = feed_heads.account AND position > pruned \
                     ORDER BY position LIMIT 1 \
                 ) WHERE account = ?",
            );
            note.bind::<Text, _>(account).execute(connection)?;
        }
        Ok(!unknown.is_empty())
    })
}

/// Goes by position, and stops at the first event that is younger.
fn prune_account(account: &str, before: i64, connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.immediate_transaction(|connection| {
        let Some(FeedHead { pruned, .. }) = head(account, connection)? else { return Ok(()) };
        let oldest: Vec<Last> = sql_query(
            "SELECT position, event_id, occurred_at FROM events WHERE account = ? AND position > ? \
             ORDER BY position LIMIT ?",
        )
        .bind::<Text, _>(account)
        .bind::<BigInt, _>(pruned)
        .bind::<BigInt, _>(PRUNE_EVENTS_MAX)
        .load(connection)?;
        if let Some(last) = oldest.into_iter().take_while(|event| event.occurred_at < before).last() {
            let Last { position, event_id, occurred_at } = last;
            sql_query("DELETE FROM events WHERE account = ? AND position <= ?")
                .bind::<Text, _>(account)
                .bind::<BigInt, _>(position)
                .execute(connection)?;
            sql_query("UPDATE feed_heads SET pruned = ?, pruned_id = ?, pruned_at = ? WHERE account = ?")
                .bind::<BigInt, _>(position)
                .bind::<Binary, _>(event_id)
                .bind::<BigInt, _>(occurred_at)
                .bind::<Text, _>(account)
                .execute(connection)?;
        }
        let forget = sql_query("UPDATE feed_heads SET oldest_at = NULL WHERE account = ?");
        forget.bind::<Text, _>(account).execute(connection).map(drop)
    })
}

/// Notes signatures that carried out a write in another database.
pub(super) fn remember(used: &[UsedSignature], connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.immediate_transaction(|connection| {
        for UsedSignature { signature: SignatureId { expires_at, hash }, outcome } in used {
            let insert = InsertUsed { expires_at: *expires_at, hash, outcome: &outcome.to_bytes() };
            insert.execute(connection)?;
        }
        Ok(())
    })
}

/// Takes over events of another database.
pub(super) fn take_over(
    moved: &[MovedEvent],
    connection: &mut SqliteConnection,
) -> QueryResult<Vec<MovedOutcome>> {
    connection.immediate_transaction(|connection| {
        let accounts: BTreeSet<&str> = moved.iter().map(|event| event.account.as_str()).collect();
        let heads = accounts.into_iter().filter_map(|account| head(account, connection).transpose());
        let mut destination = Destination::new(heads.collect::<QueryResult<_>>()?);
        let mut outcomes = Vec::with_capacity(moved.len());
        for event in moved {
            let there =
                sql_query(format!("SELECT {EVENT_ROW} FROM events WHERE account = ? AND position = ?"))
                    .bind::<Text, _>(event.account.as_str())
                    .bind::<BigInt, _>(event.position())
                    .get_result::<EventRow>(connection)
                    .optional()?;
            outcomes.push(destination.add(event, there.as_ref()));
        }
        let (rows, heads) = destination.into_changes();
        for row in &rows {
            let EventRow { account, position, customer_id, event_id, event_type, .. } = row;
            let insert = InsertEvent {
                account,
                position: *position,
                customer_id,
                event_id,
                event_type: *event_type,
                occurred_at: row.occurred_at,
                previous: row.previous.as_deref(),
                key_id: row.key_id.as_deref(),
            };
            insert.execute(connection)?;
        }
        for FeedHead { account, newest, pruned, pruned_id, pruned_at } in &heads {
            sql_query(format!("REPLACE INTO feed_heads ({FEED_HEAD}) VALUES (?, ?, ?, ?, ?)"))
                .bind::<Text, _>(account)
                .bind::<BigInt, _>(newest)
                .bind::<BigInt, _>(pruned)
                .bind::<Nullable<Binary>, _>(pruned_id.as_deref())
                .bind::<Nullable<BigInt>, _>(pruned_at)
                .execute(connection)?;
        }
        Ok(outcomes)
    })
}
