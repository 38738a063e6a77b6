//! The statements of the hot path as fixed texts, which are prepared once for each connection.
//!
//! No `LIMIT` is bound: SQLite plans for its value, and so would prepare the statement anew for each.

use diesel::{
    QueryResult,
    dsl::{AsSelect, SqlTypeOf},
    prelude::RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Integer, Nullable, Text},
    sqlite::{Sqlite, SqliteConnection},
};

use super::super::row::{CustomerRow, current_row, customer_row_within};

/// Makes a type of each statement. Its fields are bound in their order, one for each `?` of the text.
macro_rules! statements {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? as $id:ty
        { $($field:ident: $type:ty as $sql_type:ty),* $(,)? } -> $row:ty
        = $text:expr;
    )*) => {$(
        $(#[$doc])*
        pub(super) struct $name $(<$life>)? { $(pub $field: $type),* }

        impl$(<$life>)? QueryFragment<Sqlite> for $name $(<$life>)? {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                let mut texts = $text.split('?');
                $(
                    out.push_sql(texts.next().unwrap_or_default());
                    out.push_bind_param::<$sql_type, _>(&self.$field)?;
                )*
                out.push_sql(texts.next().unwrap_or_default());
                Ok(())
            }
        }

        impl$(<$life>)? QueryId for $name $(<$life>)? {
            type QueryId = $id;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl$(<$life>)? RunQueryDsl<SqliteConnection> for $name $(<$life>)? {}

        impl$(<$life>)? Query for $name $(<$life>)? {
            type SqlType = $row;
        }
    )*};
}

statements! {
    /// Looks a customer up; gives a [`CustomerRow`], whose record is empty if it is too large.
    Select<'a> as Select<'static> {
        record_bytes_max: i64 as BigInt,
        account: &'a str as Text,
        customer_id: &'a str as Text,
    } -> SqlTypeOf<AsSelect<CustomerRow, Sqlite>>
    = concat!("SELECT ", customer_row_within!("?"), " FROM customers WHERE account = ? AND customer_id = ?");

    /// Looks up what a write is decided from; gives a [`CurrentRow`](super::super::row::CurrentRow).
    SelectCurrent<'a> as SelectCurrent<'static> {
        account: &'a str as Text,
        customer_id: &'a str as Text,
    } -> (Binary, BigInt, BigInt, Nullable<BigInt>)
    = concat!("SELECT ", current_row!(), " FROM customers WHERE account = ? AND customer_id = ?");

    Insert<'a> as Insert<'static> {
        seq: i64 as BigInt,
        account: &'a str as Text,
        customer_id: &'a str as Text,
        version: &'a [u8] as Binary,
        created_at: i64 as BigInt,
        updated_at: i64 as BigInt,
        signature_expires_at: Option<i64> as Nullable<BigInt>,
        sealed_by: Option<&'a str> as Nullable<Text>,
        record: &'a [u8] as Binary,
    } -> ()
    = "INSERT INTO customers \
       (seq, account, customer_id, version, created_at, updated_at, signature_expires_at, sealed_by, record) \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

    Update<'a> as Update<'static> {
        version: &'a [u8] as Binary,
        updated_at: i64 as BigInt,
        signature_expires_at: Option<i64> as Nullable<BigInt>,
        sealed_by: Option<&'a str> as Nullable<Text>,
        record: &'a [u8] as Binary,
        account: &'a str as Text,
        customer_id: &'a str as Text,
    } -> ()
    = "UPDATE customers SET version = ?, updated_at = ?, signature_expires_at = ?, sealed_by = ?, record = ? \
       WHERE account = ? AND customer_id = ?";

    Delete<'a> as Delete<'static> {
        account: &'a str as Text,
        customer_id: &'a str as Text,
    } -> ()
    = "DELETE FROM customers WHERE account = ? AND customer_id = ?";

    /// Reads the largest `seq` that a customer has or had. None is given twice, so that it tells which customers a walk
    /// began with.
    SelectNewestSeq as Self {} -> BigInt
    = "SELECT max(high_water.seq, coalesce((SELECT max(seq) FROM customers), 0)) FROM high_water";

    /// Notes that no new customer may get an earlier timestamp, or a smaller `seq`.
    RaiseHighWater as Self {
        timestamp: i64 as BigInt,
        seq: i64 as BigInt,
    } -> ()
    = "UPDATE high_water SET timestamp = max(timestamp, ?), seq = max(seq, ?)";

    /// Looks up what a signature has done; gives the outcome.
    SelectUsed<'a> as SelectUsed<'static> {
        expires_at: i64 as BigInt,
        hash: &'a [u8] as Binary,
    } -> Binary
    = "SELECT outcome FROM used_signatures WHERE expires_at = ? AND hash = ?";

    /// Notes what a signature has done, if it is not noted yet.
    InsertUsed<'a> as InsertUsed<'static> {
        expires_at: i64 as BigInt,
        hash: &'a [u8] as Binary,
        outcome: &'a [u8] as Binary,
    } -> ()
    = "INSERT INTO used_signatures (expires_at, hash, outcome) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";

    /// Deletes used signatures that expired before this time, the oldest first: at most [`PRUNE_ROWS_MAX`]. A range of the
    /// key: `IN` would look at all that expired in the same second.
    Prune as Self {
        expired_before: i64 as BigInt,
    } -> ()
    = "DELETE FROM used_signatures WHERE (expires_at, hash) <= (SELECT expires_at, hash FROM \
       (SELECT expires_at, hash FROM used_signatures WHERE expires_at < ? ORDER BY expires_at, hash LIMIT 256) \
       ORDER BY expires_at DESC, hash DESC LIMIT 1)";

    /// Reads the position of the newest event of an account; gives nothing if it never had one.
    SelectNewestEvent<'a> as SelectNewestEvent<'static> {
        account: &'a str as Text,
    } -> BigInt
    = "SELECT newest FROM feed_heads WHERE account = ?";

    /// Notes the position of the newest event of an account.
    PutNewestEvent<'a> as PutNewestEvent<'static> {
        account: &'a str as Text,
        newest: i64 as BigInt,
    } -> ()
    = "INSERT INTO feed_heads (account, newest, pruned) VALUES (?, ?, 0) \
       ON CONFLICT (account) DO UPDATE SET newest = excluded.newest";

    InsertEvent<'a> as InsertEvent<'static> {
        account: &'a str as Text,
        position: i64 as BigInt,
        customer_id: &'a str as Text,
        event_id: &'a [u8] as Binary,
        event_type: i64 as BigInt,
        occurred_at: i64 as BigInt,
        previous: Option<&'a [u8]> as Nullable<Binary>,
        key_id: Option<&'a str> as Nullable<Text>,
    } -> ()
    = "INSERT INTO events \
       (account, position, customer_id, event_id, event_type, occurred_at, previous, key_id) \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

    /// Looks up the type and the id of a customer's last event.
    SelectLastEvent<'a> as SelectLastEvent<'static> {
        account: &'a str as Text,
        customer_id: &'a str as Text,
    } -> (BigInt, Binary)
    = "SELECT event_type, event_id FROM events WHERE account = ? AND customer_id = ? \
       ORDER BY position DESC LIMIT 1";

    /// Reads a page of the file.
    ReadPage as Self {
        number: i32 as Integer,
    } -> Binary
    = "SELECT data FROM sqlite_dbpage WHERE pgno = ?";

    /// Writes a page of the file.
    WritePage<'a> as WritePage<'static> {
        page: &'a [u8] as Binary,
        number: i32 as Integer,
    } -> ()
    = "UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?";
}

pub(super) const PRUNE_ROWS_MAX: usize = 256;
