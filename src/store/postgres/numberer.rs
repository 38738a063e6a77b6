//! Gives committed events their positions.
//!
//! Transactions commit in another order than they begin, so a number that is drawn while writing would let a reader pass over
//! an event that becomes visible later. So a write leaves its event in `outbox`, and whichever replica comes first moves what
//! is committed from there to `events`, in one statement and in turn with the others (adr 0012).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl as _;
use tokio::{
    sync::{Mutex as Turn, Notify},
    time::{sleep, timeout},
};

use super::{
    super::{error::StoreError, followers::Followers},
    readers::Readers,
};
use crate::telemetry::{Outage, StoreMetrics};

/// How often events are numbered that a replica left which is gone.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait while another replica numbers.
const TURN_PAUSE: Duration = Duration::from_millis(2);

const EVENTS_MAX: i64 = 1000;

/// How long the rows that were numbered are looked over again, for one that became visible later. A transaction lives for a
/// few seconds at most after it has drawn its `seq`.
const BOUND_PAUSE: Duration = Duration::from_secs(60);

/// The one of these locks that whoever numbers has: any number that is no hash of a customer's key, here `events` in ASCII.
pub(in super::super) const NUMBERING_LOCK: i64 = 0x6576_656e_7473;

/// Numbers events, in turn with other replicas.
pub(super) struct Numberer {
    readers: Readers,
    followers: Followers,
    metrics: StoreMetrics,
    wanted: Notify,
    /// Whose turn it is in this replica.
    turn: Turn<()>,
    /// How often this replica committed events.
    commits: AtomicU64,
    bound: Mutex<Bound>,
}

/// Where numbering begins. Until they are vacuumed, the server goes over rows that are gone; while a transaction of a stranger
/// stays open, they are not.
struct Bound {
    from: i64,
    next: i64,
    newest: i64,
    moved: Instant,
}

impl Numberer {
    pub(super) fn new(readers: Readers, followers: Followers, metrics: StoreMetrics) -> Arc<Self> {
        let bound = Bound { from: i64::MIN, next: i64::MIN, newest: i64::MIN, moved: Instant::now() };
        Arc::new(Self {
            readers,
            followers,
            metrics,
            wanted: Notify::new(),
            turn: Turn::new(()),
            commits: AtomicU64::new(0),
            bound: Mutex::new(bound),
        })
    }

    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.metrics.note_unnumbered(true);
        self.wanted.notify_one();
    }

    /// Numbers events as they are committed, and now and then those of others.
    pub(super) async fn run(&self) {
        let outage = Outage::new();
        loop {
            // After a timeout, it is also time.
            let _ = timeout(SWEEP_PAUSE, self.wanted.notified()).await;
            let numbered = self.number_all().await;
            outage.note(&numbered, "events cannot be numbered", "events are numbered again");
            if numbered.is_err() {
                sleep(SWEEP_PAUSE).await;
            }
        }
    }

    /// Numbers all events that are committed by now.
    pub(super) async fn number_all(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let commits = AtomicU64::load(&self.commits, Ordering::SeqCst);
        loop {
            let from = crate::lock::lock(&self.bound).begin();
            let rows: Vec<Numbered> =
                self.readers.run(async |connection| Number { from }.load(connection).await).await?;
            let Some((is_ours, count, last, ..)) = rows.as_slice().first().cloned() else { return Ok(()) };
            if !is_ours {
                sleep(TURN_PAUSE).await;
                continue;
            }
            crate::lock::lock(&self.bound).end(last);
            let newest =
                rows.iter().filter_map(|(_, _, _, account, newest)| Some((account.as_deref()?, (*newest)?)));
            self.followers.publish(newest);
            if count < EVENTS_MAX {
                break;
            }
        }
        if AtomicU64::load(&self.commits, Ordering::SeqCst) == commits {
            self.metrics.note_unnumbered(false);
        }
        Ok(())
    }
}

impl Bound {
    /// From the beginning now and then, so that nothing is left for ever.
    fn begin(&mut self) -> i64 {
        if self.moved.elapsed() < BOUND_PAUSE {
            return self.from;
        }
        (self.from, self.next, self.moved) = (self.next, self.newest, Instant::now());
        i64::MIN
    }

    fn end(&mut self, last: Option<i64>) {
        self.newest = self.newest.max(last.unwrap_or(i64::MIN));
    }
}

/// Whether it is this replica's turn, how many events were numbered, the last `seq`, and the newest position of an account.
type Numbered = (bool, i64, Option<i64>, Option<String>, Option<i64>);

/// Numbers the events from this `seq` on, at most [`EVENTS_MAX`], if nobody else is at it. What others have numbered since the
/// statement began is gone from `outbox`, and is passed over.
struct Number {
    from: i64,
}

impl QueryFragment<Pg> for Number {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(");
        out.push_bind_param::<BigInt, _>(&NUMBERING_LOCK)?;
        out.push_sql(") AS is_ours), taken AS (DELETE FROM outbox USING turn WHERE is_ours AND seq >= ");
        out.push_bind_param::<BigInt, _>(&self.from)?;
        out.push_sql(" AND seq <= (SELECT max(seq) FROM (SELECT seq FROM outbox WHERE seq >= ");
        out.push_bind_param::<BigInt, _>(&self.from)?;
        out.push_sql(" ORDER BY seq LIMIT ");
        out.push_bind_param::<BigInt, _>(&EVENTS_MAX)?;
        out.push_sql(
            ") AS oldest) RETURNING outbox.* \
             ), heads AS ( \
                 INSERT INTO feed_heads AS head (account, newest, pruned) \
                 SELECT account, count(*), 0 FROM taken GROUP BY account \
                 ON CONFLICT (account) DO UPDATE SET newest = head.newest + excluded.newest \
                 RETURNING account, newest \
             ), numbered AS ( \
                 INSERT INTO events \
                     (account, position, customer_id, event_id, event_type, occurred_at, previous, key_id) \
                 SELECT account, heads.newest - count(*) OVER (PARTITION BY account) \
                     + row_number() OVER (PARTITION BY account ORDER BY seq), \
                     customer_id, event_id, event_type, occurred_at, previous, key_id \
                 FROM taken JOIN heads USING (account) \
             ) \
             SELECT is_ours, (SELECT count(*) FROM taken), (SELECT max(seq) FROM taken), account, newest \
             FROM turn LEFT JOIN heads ON true",
        );
        Ok(())
    }
}

impl Query for Number {
    type SqlType = (Bool, BigInt, Nullable<BigInt>, Nullable<Text>, Nullable<BigInt>);
}

impl QueryId for Number {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}
