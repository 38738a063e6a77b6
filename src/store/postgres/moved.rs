//! Takes over events of another database, in turn with whoever numbers them.

use std::collections::HashMap;

use diesel::{
    QueryResult, sql_query,
    sql_types::{Array, BigInt, Binary, Nullable, Text},
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};

use super::{
    super::{
        feed::{EVENT_ROW, EventRow, FEED_HEAD, FeedHead},
        moved::{Destination, MovedEvent, MovedOutcome},
    },
    numberer::NUMBERING_LOCK,
};

/// What was committed before must be numbered.
pub(super) async fn take_over(
    events: &[MovedEvent],
    connection: &mut AsyncPgConnection,
) -> QueryResult<Vec<MovedOutcome>> {
    connection.transaction(async |connection| write(events, connection).await).await
}

async fn write(events: &[MovedEvent], connection: &mut AsyncPgConnection) -> QueryResult<Vec<MovedOutcome>> {
    let lock = sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(NUMBERING_LOCK);
    lock.execute(connection).await?;
    let accounts: Vec<&str> = events.iter().map(|event| event.account.as_str()).collect();
    let positions: Vec<i64> = events.iter().map(MovedEvent::position).collect();
    let heads = sql_query(format!("SELECT {FEED_HEAD} FROM feed_heads WHERE account = ANY($1)"));
    let heads = heads.bind::<Array<Text>, _>(&accounts).load::<FeedHead>(connection).await?;
    let there = sql_query(format!(
        "SELECT {EVENT_ROW} FROM events \
         WHERE (account, position) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))"
    ));
    let there = there.bind::<Array<Text>, _>(&accounts).bind::<Array<BigInt>, _>(positions);
    let there = there.load::<EventRow>(connection).await?;
    let there: HashMap<_, _> = there.iter().map(|row| ((row.account.as_str(), row.position), row)).collect();
    let mut destination = Destination::new(heads);
    let add = |event: &MovedEvent| {
        destination.add(event, there.get(&(event.account.as_str(), event.position())).copied())
    };
    let outcomes = events.iter().map(add).collect();
    let (rows, heads) = destination.into_changes();
    for head in heads {
        put_head(head, connection).await?;
    }
    insert(&rows, connection).await?;
    Ok(outcomes)
}

async fn put_head(head: FeedHead, connection: &mut AsyncPgConnection) -> QueryResult<()> {
    let FeedHead { account, newest, pruned, pruned_id, pruned_at } = head;
    let put = sql_query(format!(
        "INSERT INTO feed_heads ({FEED_HEAD}) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (account) DO UPDATE SET newest = excluded.newest"
    ));
    let put = put.bind::<Text, _>(account).bind::<BigInt, _>(newest).bind::<BigInt, _>(pruned);
    let put = put.bind::<Nullable<Binary>, _>(pruned_id).bind::<Nullable<BigInt>, _>(pruned_at);
    put.execute(connection).await.map(drop)
}

async fn insert(rows: &[EventRow], connection: &mut AsyncPgConnection) -> QueryResult<()> {
    macro_rules! column {
        ($field:ident) => {
            rows.iter().map(|row| &row.$field).collect::<Vec<_>>()
        };
    }
    let insert = sql_query(format!(
        "INSERT INTO events ({EVENT_ROW}) SELECT * FROM unnest( \
            $1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bytea[], $8::text[])"
    ));
    insert
        .bind::<Array<Text>, _>(column!(account))
        .bind::<Array<BigInt>, _>(column!(position))
        .bind::<Array<Text>, _>(column!(customer_id))
        .bind::<Array<Binary>, _>(column!(event_id))
        .bind::<Array<BigInt>, _>(column!(event_type))
        .bind::<Array<BigInt>, _>(column!(occurred_at))
        .bind::<Array<Nullable<Binary>>, _>(column!(previous))
        .bind::<Array<Nullable<Text>>, _>(column!(key_id))
        .execute(connection)
        .await
        .map(drop)
}
