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
    OptionalExtension as _, QueryResult, QueryableByName,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_query,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl as _;
use tokio::{
    join,
    sync::{Mutex as Turn, Notify},
    time::sleep,
};

use super::{
    super::{error::StoreError, followers::Followers},
    readers::Readers,
};
use crate::telemetry::{Outage, StoreMetrics};

/// How often to look for events that a replica left which is gone.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// To look for them takes at most one part of so many of the time, as long as the pause is no longer than this: then it may have
/// been a failure, which may have passed.
const SWEEP_PART: u32 = 10;
const SWEEP_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long to wait while another replica numbers.
const TURN_PAUSE: Duration = Duration::from_millis(2);

/// How many groups are numbered at a time.
const GROUPS_MAX: i64 = 32;

/// How long the place of a group that was numbered is looked over again, at least, and at most twice as long: longer than it
/// takes a transaction to become visible after it has drawn its `seq`, as it has only to commit then. The order of the events of
/// a customer that two replicas write depends on this.
const LOOK_BACK: Duration = Duration::from_secs(10);

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
        Arc::new(Self {
            readers,
            followers,
            metrics,
            wanted: Notify::new(),
            turn: Turn::new(()),
            commits: AtomicU64::new(0),
            bound: Mutex::new(Bound::new(Instant::now())),
        })
    }

    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.metrics.note_unnumbered(true);
        self.wanted.notify_one();
    }

    /// Numbers events as they are committed, and those of replicas that are gone. It does not end.
    pub(super) async fn run(&self) {
        join!(self.number(), self.sweep());
    }

    async fn number(&self) {
        let outage = Outage::new();
        loop {
            self.wanted.notified().await;
            let numbered = self.number_all().await;
            outage.note(&numbered, "events cannot be numbered", "events are numbered again");
            if numbered.is_err() {
                sleep(SWEEP_PAUSE).await;
                self.wanted.notify_one();
            }
        }
    }

    /// Looks at all places without a lock, so that it holds up nobody who numbers.
    async fn sweep(&self) {
        let outage = Outage::new();
        loop {
            let began = Instant::now();
            let oldest: Result<Option<Left>, _> = self
                .readers
                .run(async |connection| sql_query(OLDEST).get_result(connection).await.optional())
                .await;
            outage.note(
                &oldest,
                "events that are left cannot be looked for",
                "events that are left are looked for again",
            );
            if let Ok(Some(Left { seq })) = oldest {
                crate::lock::lock(&self.bound).include(seq);
                self.wanted.notify_one();
            }
            sleep((began.elapsed() * (SWEEP_PART - 1)).clamp(SWEEP_PAUSE, SWEEP_PAUSE_MAX)).await;
        }
    }

    /// Numbers all events that are committed by now.
    pub(super) async fn number_all(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let commits = AtomicU64::load(&self.commits, Ordering::SeqCst);
        loop {
            let from = crate::lock::lock(&self.bound).begin(Instant::now());
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
            if count < GROUPS_MAX {
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
    fn new(now: Instant) -> Self {
        Self { from: i64::MIN, next: i64::MIN, newest: i64::MIN, moved: now }
    }

    fn begin(&mut self, now: Instant) -> i64 {
        if now - self.moved >= LOOK_BACK {
            (self.from, self.next, self.moved) = (self.next, self.newest, now);
        }
        self.from
    }

    /// Begins there at the latest. It was drawn by now, so that it moves the bound on, too, if others number everything.
    fn include(&mut self, seq: i64) {
        self.from = self.from.min(seq);
        self.end(Some(seq));
    }

    fn end(&mut self, last: Option<i64>) {
        self.newest = self.newest.max(last.unwrap_or(i64::MIN));
    }
}

/// The oldest group that is left.
const OLDEST: &str = "SELECT seq FROM outbox ORDER BY seq LIMIT 1";

#[derive(QueryableByName)]
struct Left {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// Whether it is this replica's turn, how many groups were numbered, the last `seq`, and the newest position of an account.
type Numbered = (bool, i64, Option<i64>, Option<String>, Option<i64>);

/// Numbers the events of the groups from this `seq` on, at most [`GROUPS_MAX`], if nobody else is at it. What others have
/// numbered since the statement began is gone from `outbox`, and is passed over.
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
        out.push_bind_param::<BigInt, _>(&GROUPS_MAX)?;
        out.push_sql(
            ") AS oldest) RETURNING outbox.* \
             ), written AS MATERIALIZED ( \
                 SELECT seq, event.* FROM taken, \
                     unnest(account, customer_id, event_id, event_type, occurred_at, previous, key_id) WITH ORDINALITY \
                     AS event (account, customer_id, event_id, event_type, occurred_at, previous, key_id, place) \
             ), heads AS ( \
                 INSERT INTO feed_heads AS head (account, newest, pruned) \
                 SELECT account, count(*), 0 FROM written GROUP BY account \
                 ON CONFLICT (account) DO UPDATE SET newest = head.newest + excluded.newest \
                 RETURNING account, newest \
             ), numbered AS ( \
                 INSERT INTO events \
                     (account, position, customer_id, event_id, event_type, occurred_at, previous, key_id) \
                 SELECT account, heads.newest - count(*) OVER (PARTITION BY account) \
                     + row_number() OVER (PARTITION BY account ORDER BY seq, place), \
                     customer_id, event_id, event_type, occurred_at, previous, key_id \
                 FROM written JOIN heads USING (account) \
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_numbered_is_looked_over_again_for_ten_to_twenty_seconds() {
        let start = Instant::now();
        let mut bound = Bound::new(start);
        for second in 0..=130 {
            let from = bound.begin(start + Duration::from_secs(second));
            let second = second.cast_signed();
            if second >= 20 {
                assert!((second - 20..=second - 10).contains(&from), "{second}: {from}");
            } else {
                assert_eq!(from, i64::MIN, "{second}");
            }
            bound.end(Some(second));
        }
    }

    #[test]
    fn where_another_replica_numbers_everything_the_place_to_begin_moves_on_too() {
        let start = Instant::now();
        let mut bound = Bound::new(start);
        for (second, from) in [(0, i64::MIN), (10, i64::MIN), (20, 110), (30, 120)] {
            bound.include(100 + second);
            let second = start + Duration::from_secs(second.cast_unsigned());
            assert_eq!(bound.begin(second), from);
            bound.end(None);
        }
    }

    #[test]
    fn what_was_left_earlier_is_looked_over_too() {
        let start = Instant::now();
        let mut bound = Bound::new(start);
        bound.end(Some(7));
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(bound.begin(later(10)), i64::MIN);
        assert_eq!(bound.begin(later(20)), 7);
        bound.include(3);
        bound.end(None);
        assert_eq!(bound.begin(later(21)), 3);
        bound.include(5);
        assert_eq!(bound.begin(later(29)), 3);
        assert_eq!(bound.begin(later(30)), 7, "it was numbered since");
    }
}
