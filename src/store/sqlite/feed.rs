//! Old events are pruned.

use diesel::{
    OptionalExtension as _, QueryResult, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Binary, Text},
    sqlite::SqliteConnection,
};

use super::super::feed::{FEED_HEAD, FeedHead};

/// How many events are pruned in one step. The writer waits while one is made.
pub(super) const PRUNE_EVENTS_MAX: i64 = 500;

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Binary)]
    event_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    occurred_at: i64,
}

/// Prunes some events of one account that happened before this time, in microseconds since the Unix epoch. Goes by position,
/// and stops at the first event that is younger. Returns whether there was anything to prune.
pub(super) fn prune(before: i64, connection: &mut SqliteConnection) -> QueryResult<bool> {
    connection.immediate_transaction(|connection| {
        let due = format!(
            "SELECT {FEED_HEAD} FROM feed_heads WHERE \
             (SELECT occurred_at FROM events WHERE events.account = feed_heads.account AND position = pruned + 1) < ? \
             LIMIT 1"
        );
        let due = sql_query(due).bind::<BigInt, _>(before).get_result::<FeedHead>(connection).optional()?;
        let Some(FeedHead { account, pruned, .. }) = due else { return Ok(false) };
        let oldest: Vec<Last> = sql_query(
            "SELECT position, event_id, occurred_at FROM events WHERE account = ? AND position > ? \
             ORDER BY position LIMIT ?",
        )
        .bind::<Text, _>(&account)
        .bind::<BigInt, _>(pruned)
        .bind::<BigInt, _>(PRUNE_EVENTS_MAX)
        .load(connection)?;
        let Some(last) = oldest.into_iter().take_while(|event| event.occurred_at < before).last() else {
            return Ok(false);
        };
        let Last { position, event_id, occurred_at } = last;
        sql_query("DELETE FROM events WHERE account = ? AND position <= ?")
            .bind::<Text, _>(&account)
            .bind::<BigInt, _>(position)
            .execute(connection)?;
        sql_query("UPDATE feed_heads SET pruned = ?, pruned_id = ?, pruned_at = ? WHERE account = ?")
            .bind::<BigInt, _>(position)
            .bind::<Binary, _>(event_id)
            .bind::<BigInt, _>(occurred_at)
            .bind::<Text, _>(&account)
            .execute(connection)?;
        Ok(true)
    })
}
