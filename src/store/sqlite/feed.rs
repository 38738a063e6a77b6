//! Old events are pruned.

use diesel::{
    OptionalExtension as _, QueryResult, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Binary, Text},
    sqlite::SqliteConnection,
};

use super::super::feed::{FEED_HEAD, FeedHead};

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
struct Last {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Binary)]
    event_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    occurred_at: i64,
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
    connection.immediate_transaction(|connection| {
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
        let head = sql_query(format!("SELECT {FEED_HEAD} FROM feed_heads WHERE account = ?"));
        let head = head.bind::<Text, _>(account).get_result::<FeedHead>(connection).optional()?;
        let Some(FeedHead { pruned, .. }) = head else { return Ok(()) };
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
