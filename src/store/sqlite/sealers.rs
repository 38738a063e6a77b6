//! Who writes records that are sealed by which key.

use diesel::{delete, insert_into, prelude::*, sqlite::SqliteConnection};

use super::super::{
    schema::{seal_keys, sealers},
    sealers::{after, agrees},
};

/// The database's clock, in Unix seconds.
const NOW: &str = "unixepoch()";

/// Notes or renews; false if the database does not know the key.
pub(super) fn note(
    connection: &mut SqliteConnection,
    sealer: &str,
    key_id: Option<&str>,
    seconds: u32,
) -> QueryResult<bool> {
    agrees(connection.immediate_transaction(|connection| {
        prune(connection)?;
        insert_into(sealers::table)
            .values((
                sealers::sealer.eq(sealer),
                sealers::key_id.eq(key_id),
                sealers::expires_at.eq(after(NOW, seconds)),
            ))
            .on_conflict(sealers::sealer)
            .do_update()
            .set(sealers::expires_at.eq(after(NOW, seconds)))
            .execute(connection)
    }))
}

/// The keys of those that are noted now.
pub(super) fn keys(connection: &mut SqliteConnection) -> QueryResult<Vec<Option<String>>> {
    sealers::table.filter(sealers::expires_at.gt(after(NOW, 0))).select(sealers::key_id).load(connection)
}

/// Forgets a seal key; false if somebody is noted for it.
pub(super) fn forget_key(connection: &mut SqliteConnection, key_id: &str) -> QueryResult<bool> {
    agrees(connection.immediate_transaction(|connection| {
        prune(connection)?;
        delete(seal_keys::table.find(key_id)).execute(connection)
    }))
}

/// Deletes the notes that ran out.
fn prune(connection: &mut SqliteConnection) -> QueryResult<usize> {
    delete(sealers::table.filter(sealers::expires_at.le(after(NOW, 0)))).execute(connection)
}
