//! The writer: commits a group as one transaction.

use std::sync::Arc;

use diesel::{QueryResult, prelude::*, sqlite::SqliteConnection};

use super::{
    super::{
        error::StoreError,
        group::{Change, Engine, Write},
        row::NewRow,
        schema::customers,
        types::{Condition, DeleteOutcome, PutOutcome},
        version::Version,
    },
    connect::Connection,
    erase::Eraser,
    file::File,
    sql::{Insert, Update, last_delete},
};

/// The only connection that writes customers.
pub(super) struct Writer {
    connection: Connection,
    file: Arc<File>,
    eraser: Eraser,
}

impl Writer {
    pub(super) fn new(connection: Connection, file: Arc<File>, eraser: Eraser) -> Self {
        Self { connection, file, eraser }
    }

    /// A timestamp that no customer was created after: rows are in the order of their creation, and of those that are
    /// gone the last delete tells.
    pub(super) fn last_timestamp(&mut self) -> Result<i64, StoreError> {
        let last = diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "SELECT max(timestamp, coalesce((SELECT created_at FROM customers ORDER BY seq DESC LIMIT 1), 0)) \
             FROM last_delete",
        );
        self.connection.run(|connection| last.get_result(connection))
    }
}

impl Engine for Writer {
    async fn commit(&mut self, group: &mut [Write]) -> Result<(), StoreError> {
        let transaction = |connection: &mut SqliteConnection| {
            group.iter_mut().try_for_each(|write| apply(connection, write))
        };
        let committed = self.connection.run(|connection| connection.immediate_transaction(transaction));
        // What was written into a file that nobody finds again must not be acknowledged.
        self.file.check()?;
        committed?;
        if group.iter().any(Write::leaves_garbage) {
            self.eraser.note_garbage();
        }
        Ok(())
    }
}

fn apply(connection: &mut SqliteConnection, write: &mut Write) -> QueryResult<()> {
    let Write { account, customer_id, timestamp, change } = write;
    match change {
        Change::Put { record, condition, version, slot } => {
            let row = NewRow { account, customer_id, record, version, timestamp: *timestamp };
            slot.fill(put(connection, &row, condition)?);
        }
        Change::Delete { if_match, slot } => {
            let outcome = delete(connection, account, customer_id, if_match.as_deref())?;
            if outcome == DeleteOutcome::Deleted {
                let noted = last_delete::timestamp.eq(*timestamp);
                diesel::update(last_delete::table).set(noted).execute(connection)?;
            }
            slot.fill(outcome);
        }
    }
    Ok(())
}

fn put(
    connection: &mut SqliteConnection,
    row: &NewRow<'_>,
    condition: &Condition,
) -> QueryResult<PutOutcome> {
    let may_create = matches!(condition, Condition::Always | Condition::Absent);
    if may_create && Insert(row).execute(connection)? == 1 {
        return Ok(PutOutcome::Created(*row.version));
    }
    let updated = match condition {
        Condition::Always | Condition::Present => Update { row, versions: None }.execute(connection)?,
        Condition::OneOf(versions) => Update { row, versions: Some(versions) }.execute(connection)?,
        Condition::Absent | Condition::Never => 0,
    };
    Ok(if updated == 1 { PutOutcome::Updated(*row.version) } else { PutOutcome::ConditionFailed })
}

fn delete(
    connection: &mut SqliteConnection,
    account: &str,
    customer_id: &str,
    if_match: Option<&[Version]>,
) -> QueryResult<DeleteOutcome> {
    let key = customers::table.find((account, customer_id));
    let Some(versions) = if_match else {
        let deleted = diesel::delete(key).execute(connection)?;
        return Ok(if deleted == 1 { DeleteOutcome::Deleted } else { DeleteOutcome::NotFound });
    };
    if diesel::delete(key.filter(is_one_of(versions))).execute(connection)? == 1 {
        return Ok(DeleteOutcome::Deleted);
    }
    let exists = diesel::select(diesel::dsl::exists(key)).get_result(connection)?;
    Ok(if exists { DeleteOutcome::ConditionFailed } else { DeleteOutcome::NotFound })
}

#[diesel::dsl::auto_type]
fn is_one_of<'a>(versions: &'a [Version]) -> _ {
    let bytes: Vec<&'a [u8]> = versions.iter().map(Version::as_bytes).collect();
    customers::version.eq_any(bytes)
}
