//! The writer: takes what waits, and commits it as one transaction.

use std::iter;

use diesel::{prelude::*, result::Error as DieselError, sqlite::SqliteConnection};

use super::{
    super::{
        Condition, Delete, Put, Version,
        group::{Groups, Outcome, Stamps, Write},
        row::NewCustomer,
        schema::customers,
    },
    meaning,
    sql::{Insert, Update},
};

/// Writes until nobody is left who could ask for more.
pub(super) fn write(connection: &mut SqliteConnection, mut queue: Groups) {
    let stamps = Stamps::default();
    loop {
        let group = queue.blocking_next();
        if group.is_empty() {
            return;
        }
        commit(connection, &stamps, group);
    }
}

/// Commits a group. Should that fail, each write is tried alone, so that a bad one harms no other.
fn commit(connection: &mut SqliteConnection, stamps: &Stamps, group: Vec<Write>) {
    let outcomes = connection.immediate_transaction(|connection| {
        group.iter().map(|write| apply(connection, stamps, write)).collect::<QueryResult<Vec<_>>>()
    });
    match outcomes {
        Ok(outcomes) => {
            for (write, outcome) in group.into_iter().zip(outcomes) {
                write.tell(Ok(outcome));
            }
        }
        Err(error) if group.len() == 1 => {
            iter::zip(group, [error]).for_each(|(write, error)| write.tell(Err(meaning(error))));
        }
        Err(_) => {
            for write in group {
                commit(connection, stamps, vec![write]);
            }
        }
    }
}

fn apply(connection: &mut SqliteConnection, stamps: &Stamps, write: &Write) -> QueryResult<Outcome> {
    match write {
        Write::Put { row, condition, reply: _ } => {
            put(connection, stamps.next(), row, condition).map(Outcome::Put)
        }
        Write::Delete { account, customer_id, if_match, reply: _ } => {
            delete(connection, account, customer_id, if_match.as_deref()).map(Outcome::Delete)
        }
    }
}

fn put(
    connection: &mut SqliteConnection,
    moment: i64,
    row: &NewCustomer,
    condition: &Condition,
) -> QueryResult<Put> {
    let version = Version::from_bytes(&row.version).ok_or(DieselError::NotFound)?;
    let may_create = matches!(condition, Condition::Always | Condition::Absent);
    if may_create && (Insert { row, moment }).execute(connection)? == 1 {
        return Ok(Put::Created(version));
    }
    let rows = match condition {
        Condition::Always | Condition::Present => {
            Update { row, moment, versions: None }.execute(connection)?
        }
        Condition::OneOf(versions) => Update { row, moment, versions: Some(versions) }.execute(connection)?,
        Condition::Absent | Condition::Never => 0,
    };
    Ok(if rows == 1 { Put::Updated(version) } else { Put::ConditionFailed })
}

fn delete(
    connection: &mut SqliteConnection,
    account: &str,
    customer_id: &str,
    if_match: Option<&[Version]>,
) -> QueryResult<Delete> {
    let key = customers::table.find((account, customer_id));
    let Some(versions) = if_match else {
        let deleted = diesel::delete(key).execute(connection)?;
        return Ok(if deleted == 1 { Delete::Deleted } else { Delete::NotFound });
    };
    if diesel::delete(key.filter(is_one_of(versions))).execute(connection)? == 1 {
        return Ok(Delete::Deleted);
    }
    let is_there = diesel::select(diesel::dsl::exists(key)).get_result(connection)?;
    Ok(if is_there { Delete::ConditionFailed } else { Delete::NotFound })
}

#[diesel::dsl::auto_type]
fn is_one_of<'a>(versions: &'a [Version]) -> _ {
    let bytes: Vec<&'a [u8]> = versions.iter().map(Version::as_bytes).collect();
    customers::version.eq_any(bytes)
}
