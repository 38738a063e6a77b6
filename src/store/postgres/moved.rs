//! Takes over events of another database, in turn with whoever numbers them.

use std::{collections::HashMap, sync::Arc};

use tokio_postgres::{Client, Error as PostgresError, Row};

use super::{
    super::{
        error::StoreError,
        feed::{EVENT_ROW, EventRow, FeedHead},
        moved::{Destination, MovedEvent, MovedOutcome},
    },
    connect::Connector,
    error::store_error,
    numberer::NUMBERING_LOCK,
};

const HEADS: &str = "SELECT account, newest, pruned, pruned_id, pruned_at FROM feed_heads WHERE account = ANY($1)";

const PUT_HEAD: &str = "\
    INSERT INTO feed_heads (account, newest, pruned, pruned_id, pruned_at) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (account) DO UPDATE SET newest = excluded.newest";

const INSERT: &str = "\
    INSERT INTO events (account, position, customer_id, event_id, event_type, occurred_at, previous, key_id) \
    SELECT * FROM unnest( \
        $1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bytea[], $8::text[] \
    )";

/// What was committed before must be numbered.
pub(super) async fn take_over(
    connector: &Arc<Connector>,
    events: &[MovedEvent],
) -> Result<Vec<MovedOutcome>, StoreError> {
    let (mut client, _driver) = connector.connect_to_read().await?;
    write(&mut client, events).await.map_err(|error| store_error(&error))
}

async fn write(client: &mut Client, events: &[MovedEvent]) -> Result<Vec<MovedOutcome>, PostgresError> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&NUMBERING_LOCK]).await?;
    let accounts: Vec<&str> = events.iter().map(|event| event.account.as_str()).collect();
    let positions: Vec<i64> = events.iter().map(MovedEvent::position).collect();
    let heads = transaction.query(HEADS, &[&accounts]).await?;
    let heads = heads.iter().map(head).collect::<Result<_, _>>()?;
    let there = format!(
        "SELECT {EVENT_ROW} FROM events WHERE (account, position) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))"
    );
    let there = transaction.query(&there, &[&accounts, &positions]).await?;
    let there = there.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    let there: HashMap<_, _> = there.iter().map(|row| ((row.account.as_str(), row.position), row)).collect();
    let mut destination = Destination::new(heads);
    let add = |event: &MovedEvent| {
        destination.add(event, there.get(&(event.account.as_str(), event.position())).copied())
    };
    let outcomes = events.iter().map(add).collect();
    let (rows, heads) = destination.into_changes();
    for FeedHead { account, newest, pruned, pruned_id, pruned_at } in &heads {
        transaction.execute(PUT_HEAD, &[account, newest, pruned, pruned_id, pruned_at]).await?;
    }
    macro_rules! column {
        ($field:ident) => {
            rows.iter().map(|row| &row.$field).collect::<Vec<_>>()
        };
    }
    let columns = (column!(account), column!(position), column!(customer_id), column!(event_id));
    let more = (column!(event_type), column!(occurred_at), column!(previous), column!(key_id));
    transaction
        .execute(
            INSERT,
            &[&columns.0, &columns.1, &columns.2, &columns.3, &more.0, &more.1, &more.2, &more.3],
        )
        .await?;
    transaction.commit().await?;
    Ok(outcomes)
}

pub(super) fn head(row: &Row) -> Result<FeedHead, PostgresError> {
    Ok(FeedHead {
        account: row.try_get(0)?,
        newest: row.try_get(1)?,
        pruned: row.try_get(2)?,
        pruned_id: row.try_get(3)?,
        pruned_at: row.try_get(4)?,
    })
}

/// The columns in the order of [`EVENT_ROW`].
pub(super) fn event(row: &Row) -> Result<EventRow, PostgresError> {
    Ok(EventRow {
        account: row.try_get(0)?,
        position: row.try_get(1)?,
        customer_id: row.try_get(2)?,
        event_id: row.try_get(3)?,
        event_type: row.try_get(4)?,
        occurred_at: row.try_get(5)?,
        previous: row.try_get(6)?,
        key_id: row.try_get(7)?,
    })
}
