//! Events: read, pruned, and taken over from another database.

use diesel::{
    QueryResult, QueryableByName,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_query,
    sql_types::{Array, BigInt, Binary, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use super::{
    super::{
        exported::UsedSignature,
        feed::{EVENT_ROW, EventRow, FEED_HEAD, FeedHead, FeedQuery},
    },
    sql::INSERT_USED,
};

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

/// The head of an account, and the rows that a page is made of.
pub(super) async fn read(
    query: &FeedQuery,
    connection: &mut AsyncPgConnection,
) -> QueryResult<(Option<FeedHead>, Vec<EventRow>)> {
    let select = Select { query, first: query.first_position(), rows_max: query.rows_max() };
    let rows: Vec<(HeadColumns, EventColumns)> = select.load(connection).await?;
    let (mut head, mut events) = (None, Vec::with_capacity(rows.len()));
    for ((newest, pruned, pruned_id, pruned_at), event) in rows {
        let account = query.account.clone();
        head.get_or_insert(FeedHead { account, newest, pruned, pruned_id, pruned_at });
        if let (Some(position), Some(customer_id), Some(event_id), Some(event_type), Some(occurred_at), ..) =
            event
        {
            let (account, previous, key_id) = (query.account.clone(), event.5, event.6);
            events.push(EventRow {
                account,
                position,
                customer_id,
                event_id,
                event_type,
                occurred_at,
                previous,
                key_id,
            });
        }
    }
    Ok((head, events))
}

/// One statement, so that the head and the rows are of the same time: a row for the head, if there is no event.
struct Select<'a> {
    query: &'a FeedQuery,
    first: Option<i64>,
    rows_max: i64,
}

type HeadColumns = (i64, i64, Option<Vec<u8>>, Option<i64>);

type EventColumns =
    (Option<i64>, Option<String>, Option<Vec<u8>>, Option<i64>, Option<i64>, Option<Vec<u8>>, Option<String>);

impl QueryFragment<Pg> for Select<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT head.newest, head.pruned, head.pruned_id, head.pruned_at, event.position, event.customer_id, \
                event.event_id, event.event_type, event.occurred_at, event.previous, event.key_id \
             FROM feed_heads AS head LEFT JOIN LATERAL (SELECT * FROM events WHERE ",
        );
        match &self.query.customer_id {
            None => out.push_sql("account = head.account"),
            Some(customer_id) => {
                out.push_sql("account || '' = head.account AND customer_id = ");
                out.push_bind_param::<Text, _>(customer_id)?;
            }
        }
        out.push_sql(" AND position >= ");
        match &self.first {
            None => out.push_sql("head.newest"),
            Some(position) => out.push_bind_param::<BigInt, _>(position)?,
        }
        out.push_sql(" ORDER BY position LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.rows_max)?;
        out.push_sql(") AS event ON true WHERE head.account = ");
        out.push_bind_param::<Text, _>(&self.query.account)
    }
}

impl Query for Select<'_> {
    type SqlType = (
        (BigInt, BigInt, Nullable<Binary>, Nullable<BigInt>),
        (
            Nullable<BigInt>,
            Nullable<Text>,
            Nullable<Binary>,
            Nullable<BigInt>,
            Nullable<BigInt>,
            Nullable<Binary>,
            Nullable<Text>,
        ),
    );
}

/// Its text depends on what is asked for.
impl QueryId for Select<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

/// The newest positions of accounts.
pub(super) async fn newest(
    accounts: &[String],
    connection: &mut AsyncPgConnection,
) -> QueryResult<Vec<(String, i64)>> {
    let select = sql_query("SELECT account, newest FROM feed_heads WHERE account = ANY($1)");
    let rows: Vec<Newest> = select.bind::<Array<Text>, _>(accounts).load(connection).await?;
    Ok(rows.into_iter().map(|Newest { account, newest }| (account, newest)).collect())
}

pub(super) async fn heads(connection: &mut AsyncPgConnection) -> QueryResult<Vec<FeedHead>> {
    sql_query(format!("SELECT {FEED_HEAD} FROM feed_heads ORDER BY account")).load(connection).await
}

/// Rows of all accounts in the order of account, customer and position, after this place.
pub(super) async fn scan(
    after: &(String, String, i64),
    limit: u32,
    connection: &mut AsyncPgConnection,
) -> QueryResult<Vec<EventRow>> {
    let (account, customer_id, position) = after;
    let rows = sql_query(format!(
        "SELECT {EVENT_ROW} FROM events WHERE (account || '', customer_id, position) > ($1, $2, $3) \
         ORDER BY account || '', customer_id, position LIMIT $4"
    ));
    rows.bind::<Text, _>(account)
        .bind::<Text, _>(customer_id)
        .bind::<BigInt, _>(position)
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)
        .await
}

/// Makes one step of pruning. Returns whether there was anything to do.
pub(super) async fn prune(before: i64, connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    let pruned = sql_query(PRUNE).bind::<BigInt, _>(before).execute(connection).await?;
    Ok(pruned > 0 || sql_query(NOTE_OLDEST).execute(connection).await? > 0)
}

/// Notes signatures that carried out a write in another database.
pub(super) async fn remember(used: &[UsedSignature], connection: &mut AsyncPgConnection) -> QueryResult<()> {
    let expires_at: Vec<i64> = used.iter().map(|used| used.signature.expires_at).collect();
    let hashes: Vec<&[u8]> = used.iter().map(|used| used.signature.hash.as_slice()).collect();
    let outcomes: Vec<Vec<u8>> = used.iter().map(|used| used.outcome.to_bytes()).collect();
    let insert = sql_query(INSERT_USED)
        .bind::<Array<BigInt>, _>(expires_at)
        .bind::<Array<Binary>, _>(hashes)
        .bind::<Array<Binary>, _>(outcomes);
    insert.execute(connection).await.map(drop)
}
