//! Who writes records that are sealed by which key: what both engines agree on.

use diesel::{
    QueryResult,
    dsl::sql,
    expression::SqlLiteral,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::BigInt,
};

/// So many seconds from now, where `now` is the database's clock in SQL, in Unix seconds.
pub(super) fn after(now: &str, seconds: u32) -> SqlLiteral<BigInt> {
    sql(&format!("{now} + {seconds}"))
}

/// Whether a statement was carried out, and not refused because a note and a key must agree.
pub(super) fn agrees(done: QueryResult<usize>) -> QueryResult<bool> {
    match done {
        Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => Ok(false),
        done => done.map(|_| true),
    }
}
