//! Which customers belong to a walk through a list: those that were there when it began.
//!
//! No timestamp tells that, because replicas have clocks of their own, and a put may wait for a delete before it creates a
//! customer. So each row names the transaction that created it, and a walk keeps the snapshot of its first page. A customer
//! that was imported may be older than its row; when it came is noted, too.

use chrono::TimeDelta;
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{BigInt, Text},
};

use super::super::{error::StoreError, types::Snapshot};
use crate::clock;

/// How far the clocks of replicas may be apart. Whatever is older than the walk by more than this was there when the walk
/// began, even if it came from another server, by a dump for example, where transactions have other numbers.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::hours(1);

/// The longest text of a snapshot that a page token has room for: about ninety transactions at once.
const SNAPSHOT_CHARS_MAX: usize = 1000;

/// What a walk keeps of its first page, whose query had this snapshot, as Postgres writes it: `xmin:xmax:xip`.
pub(super) fn begin(snapshot: &str) -> Snapshot {
    let now = clock::now().timestamp_micros();
    if snapshot.len() <= SNAPSHOT_CHARS_MAX {
        return Snapshot(format!("{now}/{snapshot}"));
    }
    // What those many transactions create while the walk goes on may be in it.
    let xmax = snapshot.split(':').nth(1).unwrap_or_default();
    Snapshot(format!("{now}/{xmax}:{xmax}:"))
}

/// Whether a customer was there when a walk began, as a condition of SQL.
pub(super) struct Begun {
    /// Microseconds since the Unix epoch.
    old: i64,
    snapshot: String,
}

impl Begun {
    pub(super) fn read(begun: &Snapshot) -> Result<Self, StoreError> {
        let malformed = || StoreError::failed("the snapshot of a walk is malformed");
        let (began, snapshot) = begun.0.split_once('/').ok_or_else(malformed)?;
        let began: i64 = began.parse().map_err(|_| malformed())?;
        let old = began - CLOCKS_APART_MAX.num_microseconds().unwrap_or_default();
        Ok(Self { old, snapshot: snapshot.to_owned() })
    }
}

impl QueryFragment<Pg> for Begun {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(coalesce(imported_at, created_at) < ");
        out.push_bind_param::<BigInt, _>(&self.old)?;
        out.push_sql(
            " OR created_in >= pg_snapshot_xmax(pg_current_snapshot()) OR pg_visible_in_snapshot(created_in, CAST(",
        );
        out.push_bind_param::<Text, _>(&self.snapshot)?;
        out.push_sql(" AS pg_snapshot)))");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_fits_into_a_page_token_however_many_transactions_there_are() {
        let Snapshot(short) = begin("5:9:6,7");
        assert_eq!(short.split_once('/').unwrap().1, "5:9:6,7");
        let many: Vec<_> = (1_000_000_001..1_000_000_200).map(|xid: u64| xid.to_string()).collect();
        let Snapshot(long) = begin(&format!("1000000000:1000000201:{}", many.join(",")));
        assert_eq!(long.split_once('/').unwrap().1, "1000000201:1000000201:");
    }
}
