//! Looks customers up by their key.
//!
//! Look-ups that come together are one query, which costs the service and the server little more than a single one. A
//! single look-up waits for nobody.

use std::{slice, sync::Arc};

use super::{
    super::{
        error::StoreError,
        row::{CustomerRow, customer_row_within},
    },
    connect::Connector,
    readers::Readers,
    sql::{BY_INDEX, at},
};
use diesel::{
    QueryResult,
    dsl::{AsSelect, SqlTypeOf},
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Text},
};
use diesel_async::RunQueryDsl as _;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::oneshot;

use crate::scheduling::queue;

const QUEUE_LOOKUPS_MAX: usize = 1024;

const READERS: usize = 3;

const GROUP_LOOKUPS_MAX: usize = 64;

/// The asking side.
#[derive(Clone)]
pub(super) struct Lookups(Arc<queue::Sender<Lookup>>);

struct Lookup {
    account: String,
    customer_id: String,
    record_bytes_max: i64,
    reply: oneshot::Sender<Found>,
}

type Found = Result<Option<CustomerRow>, StoreError>;

impl Lookup {
    /// Tells the caller, who may have given up.
    fn tell(self, found: Found) {
        let _ = self.reply.send(found);
    }
}

impl Lookups {
    pub(super) fn new(connector: &Arc<Connector>) -> (Self, Desk) {
        let readers = Readers::new(connector, READERS, BY_INDEX);
        let (sender, lookups) = queue::channel(QUEUE_LOOKUPS_MAX, |lookup: &Lookup| &lookup.account);
        (Self(Arc::new(sender)), Desk { lookups, readers })
    }

    pub(super) async fn find(&self, account: &str, customer_id: &str, record_bytes_max: i64) -> Found {
        let (account, customer_id) = (account.to_owned(), customer_id.to_owned());
        let (reply, found) = oneshot::channel();
        if let Err(refused) = self.0.send(Lookup { account, customer_id, record_bytes_max, reply }).await {
            // It may be this one.
            refused.tell(Err(StoreError::Busy));
        }
        found.await.map_err(|_| StoreError::unavailable("the engine has ended"))?
    }
}

/// The answering side.
pub(super) struct Desk {
    lookups: queue::Receiver<Lookup>,
    readers: Readers,
}

impl Desk {
    /// Answers look-ups until nobody can ask any more.
    pub(super) async fn run(mut self) {
        let mut queries = FuturesUnordered::new();
        loop {
            tokio::select! {
                group = self.lookups.gather(GROUP_LOOKUPS_MAX), if queries.len() < READERS => {
                    if group.is_empty() {
                        return;
                    }
                    queries.push(answer(&self.readers, group));
                }
                Some(()) = queries.next() => {}
            }
        }
    }
}

/// If the database refuses a group, each look-up is tried alone, so that a damaged row does not hide the others.
async fn answer(readers: &Readers, mut group: Vec<Lookup>) {
    group.retain(|lookup| !lookup.reply.is_closed());
    match find(readers, &group).await {
        Ok(found) => {
            for (lookup, row) in group.into_iter().zip(found) {
                lookup.tell(Ok(row));
            }
        }
        Err(StoreError::Failed(_)) if group.len() > 1 => {
            for lookup in group {
                let found = find(readers, slice::from_ref(&lookup)).await;
                lookup.tell(found.map(|mut rows| rows.pop().flatten()));
            }
        }
        Err(error) => {
            for lookup in group {
                lookup.tell(Err(error.duplicate()));
            }
        }
    }
}

/// The rows, in the order of the look-ups.
async fn find(readers: &Readers, group: &[Lookup]) -> Result<Vec<Option<CustomerRow>>, StoreError> {
    let rows = readers.run(async |connection| {
        let accounts = group.iter().map(|lookup| lookup.account.as_str()).collect();
        let customer_ids = group.iter().map(|lookup| lookup.customer_id.as_str()).collect();
        let record_bytes_max = group.iter().map(|lookup| lookup.record_bytes_max).collect();
        Select { accounts, customer_ids, record_bytes_max }.load(connection).await
    });
    let rows: Vec<(i64, CustomerRow)> = rows.await?;
    let mut found: Vec<Option<CustomerRow>> = group.iter().map(|_| None).collect();
    for (place, row) in rows {
        if let Some(found) = at(&mut found, place) {
            *found = Some(row);
        }
    }
    Ok(found)
}

/// Gives the place of each customer that exists, counted from 1, and its row, whose record is empty if it is too large.
struct Select<'a> {
    accounts: Vec<&'a str>,
    customer_ids: Vec<&'a str>,
    record_bytes_max: Vec<i64>,
}

impl QueryFragment<Pg> for Select<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT asked.place, found.* FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.accounts)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Text>, _>(&self.customer_ids)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<BigInt>, _>(&self.record_bytes_max)?;
        // A sub-query that cannot be pulled up is made by key for each row, whatever the server knows of the table.
        out.push_sql(concat!(
            "::bigint[]) WITH ORDINALITY AS asked (account, customer_id, record_bytes_max, place), LATERAL (SELECT ",
            customer_row_within!("asked.record_bytes_max"),
            " FROM customers WHERE account = asked.account AND customer_id = asked.customer_id LIMIT 1) AS found",
        ));
        Ok(())
    }
}

impl Query for Select<'_> {
    type SqlType = (BigInt, SqlTypeOf<AsSelect<CustomerRow, Pg>>);
}

impl QueryId for Select<'_> {
    type QueryId = Select<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}
