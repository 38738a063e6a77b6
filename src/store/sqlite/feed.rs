//! Old events are pruned.

use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryResult,
    RunQueryDsl as _, delete,
    dsl::sql,
    sql_query,
    sql_types::{BigInt, Text},
    sqlite::SqliteConnection,
    update,
};

use super::super::schema::{events, feed_heads};

/// How many events are pruned in one step. The writer waits while one is made.
pub(super) const PRUNE_EVENTS_MAX: i64 = 500;

const NOTED_ACCOUNTS_MAX: i64 = 500;

/// Makes one step of pruning: prunes some events of the account whose oldest event is the oldest of all, if it happened before
/// this time, in microseconds since the Unix epoch. Returns whether there was anything to do.
pub(super) fn prune(before: i64, connection: &mut SqliteConnection) -> QueryResult<bool> {
    let due = feed_heads::table.filter(feed_heads::oldest_at.lt(before)).order_by(feed_heads::oldest_at);
    match due.select(feed_heads::account).first::<String>(connection).optional()? {
        Some(account) => prune_account(&account, before, connection).map(|()| true),
        None => note_oldest(connection),
    }
}

/// Notes when the oldest event of some accounts happened, for which nobody has done so. Returns whether there were any. They are
/// looked for before the writer has to wait.
fn note_oldest(connection: &mut SqliteConnection) -> QueryResult<bool> {
    let unknown = sql::<Text>(
        "SELECT account FROM feed_heads WHERE oldest_at IS NULL AND newest > pruned AND EXISTS ( \
             SELECT 1 FROM events WHERE events.account = feed_heads.account AND position > pruned \
         ) LIMIT ",
    );
    let unknown: Vec<String> = unknown.bind::<BigInt, _>(NOTED_ACCOUNTS_MAX).load(connection)?;
    connection.immediate_transaction(|connection| {
        for account in &unknown {
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
        let head = feed_heads::table.find(account);
        let pruned: Option<i64> = head.select(feed_heads::pruned).first(connection).optional()?;
        let Some(pruned) = pruned else { return Ok(()) };
        let oldest: Vec<(i64, Vec<u8>, i64)> = events::table
            .filter(events::account.eq(account).and(events::position.gt(pruned)))
            .order_by(events::position)
            .select((events::position, events::event_id, events::occurred_at))
            .limit(PRUNE_EVENTS_MAX)
            .load(connection)?;
        if let Some(last) = oldest.into_iter().take_while(|(.., occurred_at)| *occurred_at < before).last() {
            let (position, event_id, occurred_at) = last;
            let gone = events::account.eq(account).and(events::position.le(position));
            delete(events::table.filter(gone)).execute(connection)?;
            let pruned = feed_heads::pruned.eq(position);
            let named = (feed_heads::pruned_id.eq(event_id), feed_heads::pruned_at.eq(occurred_at));
            update(head).set((pruned, named)).execute(connection)?;
        }
        update(head).set(feed_heads::oldest_at.eq(None::<i64>)).execute(connection).map(drop)
    })
}
