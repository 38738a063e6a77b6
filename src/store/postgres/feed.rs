//! Old events are pruned.

use diesel::{QueryResult, sql_query, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

/// Prunes some events of one account that happened before this time. Goes by position, and stops at the first event that is
/// younger. An account that another replica is at is left to it.
const PRUNE: &str = "\
    WITH due AS MATERIALIZED ( \
        SELECT head.account, head.pruned FROM feed_heads AS head JOIN events AS oldest \
            ON oldest.account = head.account AND oldest.position = head.pruned + 1 \
        WHERE oldest.occurred_at < $1 LIMIT 1 FOR UPDATE OF head SKIP LOCKED \
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
    UPDATE feed_heads SET pruned = last.position, pruned_id = last.event_id, pruned_at = last.occurred_at \
    FROM last WHERE feed_heads.account = last.account";

/// Makes one step of pruning. Returns whether there was anything to prune.
pub(super) async fn prune(before: i64, connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    Ok(sql_query(PRUNE).bind::<BigInt, _>(before).execute(connection).await? > 0)
}
