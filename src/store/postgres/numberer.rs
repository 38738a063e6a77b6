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
    time::Duration,
};

use diesel::{
    OptionalExtension as _, QueryResult, QueryableByName,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_query,
    sql_types::{Array, BigInt, Bool, Nullable, Text},
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
use crate::{
    lock::lock,
    telemetry::{Outage, StoreMetrics},
};

/// How often to look for events that a replica left which is gone.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait while another replica numbers.
const TURN_PAUSE: Duration = Duration::from_millis(2);

/// How many groups are numbered at a time.
const GROUPS_MAX: i64 = 32;

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

/// Where numbering begins: no group before it is left, and none will come. Without it the server would go over all rows that are
/// gone and not vacuumed yet, which they are not while a transaction of a stranger stays open.
struct Bound {
    begin: Begin,
    /// The newest group that is known to be committed.
    newest: i64,
    /// Where numbering begins when none of these transactions, which may have drawn a `seq` before it, is open any more.
    next: i64,
    writers: Vec<String>,
}

/// A `seq` counts only on the server that drew it: after a failover, another one may draw it again.
#[derive(Clone, Copy)]
struct Begin {
    server: i64,
    seq: i64,
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
            bound: Mutex::new(Bound::new(0)),
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

    /// Looks for what is left without a lock, so that it holds up nobody who numbers.
    async fn sweep(&self) {
        let outage = Outage::new();
        loop {
            let looked = self.look().await;
            outage.note(
                &looked,
                "events that are left cannot be looked for",
                "events that are left are looked for again",
            );
            if let Ok(true) = looked {
                self.wanted.notify_one();
            }
            sleep(SWEEP_PAUSE).await;
        }
    }

    /// Whether something is left.
    async fn look(&self) -> Result<bool, StoreError> {
        let Bound { begin, newest, .. } = *lock(&self.bound);
        let (Open { server, writers }, oldest) = self
            .readers
            .run(async |connection| {
                let open = sql_query(OPEN).get_result(connection).await?;
                Ok((open, Oldest(begin).get_result(connection).await.optional()?))
            })
            .await?;
        lock(&self.bound).note(server, newest, writers, oldest);
        Ok(oldest.is_some())
    }

    /// Numbers all events that are committed by now.
    pub(super) async fn number_all(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let commits = AtomicU64::load(&self.commits, Ordering::SeqCst);
        loop {
            let begin = lock(&self.bound).begin;
            let rows: Vec<Numbered> =
                self.readers.run(async |connection| Number(begin).load(connection).await).await?;
            let Some((server, is_ours, count, last, ..)) = rows.as_slice().first().cloned() else {
                return Ok(());
            };
            if !is_ours {
                sleep(TURN_PAUSE).await;
                continue;
            }
            lock(&self.bound).note_committed(server, last);
            let newest =
                rows.iter().filter_map(|(.., account, newest)| Some((account.as_deref()?, (*newest)?)));
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
    fn new(server: i64) -> Self {
        Self { begin: Begin { server, seq: i64::MIN }, newest: i64::MIN, next: i64::MIN, writers: Vec::new() }
    }

    fn note_committed(&mut self, server: i64, seq: Option<i64>) {
        if server == self.begin.server {
            self.newest = self.newest.max(seq.unwrap_or(i64::MIN));
        }
    }

    /// Takes over what was looked up, in this order: the newest group that was known, the transactions that wrote to `outbox` then
    /// and were still open, and the oldest group that was left after that.
    fn note(&mut self, server: i64, newest: i64, writers: Vec<String>, oldest: Option<i64>) {
        if server != self.begin.server {
            *self = Self::new(server);
            return;
        }
        self.note_committed(server, oldest);
        if !self.writers.iter().any(|writer| writers.contains(writer)) {
            self.begin.seq = oldest.map_or(self.next, |oldest| oldest.min(self.next));
            (self.next, self.writers) = (newest, writers);
        }
    }
}

/// Which server this is, told by when it was started, in microseconds.
macro_rules! server {
    () => {
        "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
    };
}

/// The server, and the transactions that have written to `outbox` and are open: each has this lock from before
/// it draws a `seq` to its end.
const OPEN: &str = concat!(
    "SELECT ",
    server!(),
    " AS server, ARRAY(SELECT virtualtransaction FROM pg_locks \
        WHERE locktype = 'relation' AND relation = 'outbox'::regclass AND mode = 'RowExclusiveLock' \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS writers"
);

#[derive(QueryableByName)]
struct Open {
    #[diesel(sql_type = BigInt)]
    server: i64,
    #[diesel(sql_type = Array<Text>)]
    writers: Vec<String>,
}

impl QueryFragment<Pg> for Begin {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(concat!("(CASE WHEN ", server!(), " = "));
        out.push_bind_param::<BigInt, _>(&self.server)?;
        out.push_sql(" THEN ");
        out.push_bind_param::<BigInt, _>(&self.seq)?;
        out.push_sql(" ELSE -9223372036854775808 END)");
        Ok(())
    }
}

/// The oldest group that is left.
struct Oldest(Begin);

impl QueryFragment<Pg> for Oldest {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT seq FROM outbox WHERE seq >= ");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(" ORDER BY seq LIMIT 1");
        Ok(())
    }
}

impl Query for Oldest {
    type SqlType = BigInt;
}

impl QueryId for Oldest {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

/// The server, whether it is this replica's turn, how many groups were numbered, the last `seq`, and the newest position of an
/// account.
type Numbered = (i64, bool, i64, Option<i64>, Option<String>, Option<i64>);

/// Numbers the events of the groups from there on, at most [`GROUPS_MAX`], if nobody else is at it. What others have numbered
/// since the statement began is gone from `outbox`, and is passed over.
struct Number(Begin);

impl QueryFragment<Pg> for Number {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(");
        out.push_bind_param::<BigInt, _>(&NUMBERING_LOCK)?;
        out.push_sql(") AS is_ours), taken AS (DELETE FROM outbox USING turn WHERE is_ours AND seq >= ");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(" AND seq <= (SELECT max(seq) FROM (SELECT seq FROM outbox WHERE seq >= ");
        self.0.walk_ast(out.reborrow())?;
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
             SELECT ",
        );
        out.push_sql(server!());
        out.push_sql(
            ", is_ours, (SELECT count(*) FROM taken), (SELECT max(seq) FROM taken), account, newest \
             FROM turn LEFT JOIN heads ON true",
        );
        Ok(())
    }
}

impl Query for Number {
    type SqlType = (BigInt, Bool, BigInt, Nullable<BigInt>, Nullable<Text>, Nullable<BigInt>);
}

impl QueryId for Number {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bound on server 1 that has seen group 10, with this transaction open, and 20 since.
    fn bound(writer: &str) -> Bound {
        let mut bound = Bound::new(1);
        bound.note_committed(1, Some(10));
        bound.note(1, 10, vec![writer.to_owned()], None);
        assert_eq!(bound.begin.seq, i64::MIN);
        bound.note_committed(1, Some(20));
        bound
    }

    #[test]
    fn what_was_numbered_is_passed_over_once_all_that_wrote_before_have_ended() {
        let mut bound = bound("3/7");
        bound.note(1, 20, vec!["3/8".to_owned()], None);
        assert_eq!(bound.begin.seq, 10);
        bound.note(1, 20, Vec::new(), None);
        assert_eq!(bound.begin.seq, 20);
    }

    #[test]
    fn nothing_is_passed_over_while_a_transaction_is_open_that_may_have_drawn_an_earlier_place() {
        let mut bound = bound("3/7");
        for _ in 0..100 {
            bound.note(1, 20, vec!["4/1".to_owned(), "3/7".to_owned()], None);
            assert_eq!(bound.begin.seq, i64::MIN);
        }
    }

    #[test]
    fn what_is_left_is_not_passed_over() {
        let mut bound = bound("3/7");
        bound.note(1, 20, Vec::new(), Some(5));
        assert_eq!(bound.begin.seq, 5);
        bound.note(1, 20, Vec::new(), Some(15));
        assert_eq!(bound.begin.seq, 15);
    }

    #[test]
    fn where_another_replica_numbers_everything_the_place_to_begin_moves_on_too() {
        let mut bound = Bound::new(1);
        for (oldest, begin) in [(7, i64::MIN), (8, i64::MIN), (9, 7)] {
            let newest = bound.newest;
            bound.note(1, newest, Vec::new(), Some(oldest));
            assert_eq!(bound.begin.seq, begin);
        }
    }

    #[test]
    fn another_server_may_draw_every_place_again() {
        let mut bound = bound("3/7");
        bound.note(1, 20, Vec::new(), None);
        bound.note(2, 20, Vec::new(), None);
        assert_eq!((bound.begin.server, bound.begin.seq), (2, i64::MIN));
        bound.note_committed(1, Some(30));
        for _ in 0..3 {
            bound.note(2, bound.newest, Vec::new(), None);
        }
        assert_eq!(bound.begin.seq, i64::MIN, "what the other one drew does not count");
    }
}
