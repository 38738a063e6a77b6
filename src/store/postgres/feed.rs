//! Old events are pruned.

use diesel::{QueryResult, sql_query, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

/// Notes when the oldest event of some accounts happened, for which nobody has done so.
const NOTE_OLDEST: &str = "\
    UPDATE feed_heads SET oldest_at = ( \
        SELECT occurred_at FROM events WHERE account = feed_heads.account AND position > pruned ORDER BY position LIMIT 1 \
    ) WHERE account IN ( \
        SELECT account FROM feed_heads AS head WHERE oldest_at IS NULL AND newest > pruned \
            AND EXISTS (SELECT FROM events WHERE account = head.account AND position > pruned) \
        LIMIT 500 FOR UPDATE SKIP LOCKED \
    )";

/// Prunes some events of the account whose oldest event is the oldest of all, if it happened before this time. Goes by position,
/// and stops at the first event that is younger. An account that another replica is at is left to it.
const PRUNE: &str = "\
    WITH due AS MATERIALIZED ( \
        SELECT account, pruned FROM feed_heads WHERE oldest_at < $1 \
        ORDER BY oldest_at LIMIT 1 FOR UPDATE SKIP LOCKED \
    ), step AS MATERIALIZED ( \
        SELECT due.pruned AS begin, oldest.* FROM due, LATERAL ( \
            SELECT account, position, event_id, occurred_at FROM events \
            WHERE account = due.account AND position > due.pruned ORDER BY position LIMIT 1000 \
        ) AS oldest \
    ), last AS MATERIALIZED ( \
        SELECT * FROM step WHERE position = (SELECT max(position) FROM step WHERE position < coalesce( \
            (SELECT min(position) FROM step WHERE occurred_at >= $1), 9223372036854775807 \
        )) \
    ), gone AS ( \
        DELETE FROM events USING last WHERE events.account = last.account \
            AND events.position > last.begin AND events.position <= last.position \
    ) \
    UPDATE feed_heads SET pruned = coalesce(last.position, feed_heads.pruned), oldest_at = NULL, \
        pruned_id = coalesce(last.event_id, pruned_id), pruned_at = coalesce(last.occurred_at, pruned_at) \
    FROM due LEFT JOIN last USING (account) WHERE feed_heads.account = due.account";

/// Makes one step of pruning. Returns whether there was anything to do.
pub(super) async fn prune(before: i64, connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    let pruned = sql_query(PRUNE).bind::<BigInt, _>(before).execute(connection).await?;
    Ok(pruned > 0 || sql_query(NOTE_OLDEST).execute(connection).await? > 0)
}
