//! Who writes records that are sealed by which key.

// Not the prelude: its `RunQueryDsl` is the synchronous one.
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, delete, insert_into};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use super::super::{
    schema::{seal_keys, sealers},
    sealers::{after, agrees},
};

/// The database's clock, in Unix seconds.
const NOW: &str = "CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)";

/// Notes or renews; false if the database does not know the key.
pub(super) async fn note(
    connection: &mut AsyncPgConnection,
    sealer: &str,
    key_id: Option<&str>,
    seconds: u32,
) -> QueryResult<bool> {
    prune(connection).await?;
    let noted = insert_into(sealers::table)
        .values((
            sealers::sealer.eq(sealer),
            sealers::key_id.eq(key_id),
            sealers::expires_at.eq(after(NOW, seconds)),
        ))
        .on_conflict(sealers::sealer)
        .do_update()
        .set(sealers::expires_at.eq(after(NOW, seconds)));
    agrees(noted.execute(connection).await)
}

/// The keys of those that are noted now.
pub(super) async fn keys(connection: &mut AsyncPgConnection) -> QueryResult<Vec<Option<String>>> {
    let noted = sealers::table.filter(sealers::expires_at.gt(after(NOW, 0))).select(sealers::key_id);
    noted.load(connection).await
}

/// Forgets a seal key; false if somebody is noted for it.
pub(super) async fn forget_key(connection: &mut AsyncPgConnection, key_id: &str) -> QueryResult<bool> {
    prune(connection).await?;
    agrees(delete(seal_keys::table.find(key_id)).execute(connection).await)
}

/// Deletes the notes that ran out.
async fn prune(connection: &mut AsyncPgConnection) -> QueryResult<usize> {
    delete(sealers::table.filter(sealers::expires_at.le(after(NOW, 0)))).execute(connection).await
}
