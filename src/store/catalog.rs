//! Keys and secrets: queries that are rare, written once for both engines.

use std::collections::HashMap;

use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult, SelectableHelper as _, delete,
    dsl::sql,
    expression::SqlLiteral,
    insert_into,
    query_dsl::methods,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::BigInt,
    update,
};

use super::{
    engine::{ANSWER_TIMEOUT, Engine, Store, within},
    error::StoreError,
    query::{either, query},
    row::KeyRows,
    schema::{key_limits, key_uses, seal_keys, sealers, secrets, signing_keys},
    types::{SealKeyRow, SigningKey, UnusableKey},
};
use crate::model::Timestamp;

/// Whether a statement was carried out, and not refused because a note and a key must agree.
fn agrees(done: QueryResult<usize>) -> QueryResult<bool> {
    match done {
        Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => Ok(false),
        done => done.map(|_| true),
    }
}

/// So many seconds from now by the database's clock, in Unix seconds.
pub(super) fn after(engine: &Engine, seconds: u32) -> SqlLiteral<BigInt> {
    let now = match engine {
        Engine::Sqlite(_) => "unixepoch()",
        Engine::Postgres(_) => "CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)",
    };
    sql(&format!("({now} + {seconds})"))
}

impl Store {
    /// Reads every registered key, oldest first. A row that cannot be used does not hide the others.
    pub async fn signing_keys(&self) -> Result<Vec<Result<SigningKey, UnusableKey>>, StoreError> {
        let read = async {
            if let Engine::Sqlite(engine) = &self.engine {
                engine.check_file().await?;
            }
            query!(self, |connection| signing_keys::table
                .left_join(key_limits::table)
                .order_by((signing_keys::created_at, signing_keys::key_id))
                .select(KeyRows::as_select())
                .load(connection))
        };
        let rows: Vec<KeyRows> = within(ANSWER_TIMEOUT, read).await?;
        Ok(rows.into_iter().map(SigningKey::try_from).collect())
    }

    /// Registers a key; false if its id is taken.
    pub async fn add_signing_key(&self, key: SigningKey) -> Result<bool, StoreError> {
        let (row, limits) = KeyRows::from(key);
        either!(self.transaction(|connection| {
            let key = insert_into(signing_keys::table).values(&row).on_conflict_do_nothing();
            let is_added = run!(key.execute(connection))? == 1;
            if let Some(limits) = limits.as_ref().filter(|_| is_added) {
                run!(insert_into(key_limits::table).values(limits).execute(connection))?;
            }
            Ok(is_added)
        }))
    }

    /// Revokes a key; false if there is no such key or it is revoked already.
    pub async fn revoke_signing_key(&self, key_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let (key_id, limited_id) = (key_id.to_owned(), key_id.to_owned());
        let revoked = query!(self, |connection| update(
            signing_keys::table.find(&key_id).filter(signing_keys::revoked_at.is_null())
        )
        .set(signing_keys::revoked_at.eq(now.micros()))
        .execute(connection))?;
        let limited = query!(self, |connection| update(
            key_limits::table.find(&limited_id).filter(key_limits::revoked_at.is_null())
        )
        .set(key_limits::revoked_at.eq(now.micros()))
        .execute(connection))?;
        Ok(revoked + limited == 1)
    }

    /// Notes on which day a key was used, in days since the Unix epoch, unless a later day is noted.
    pub async fn note_key_use(&self, key_id: &str, day: i64) -> Result<(), StoreError> {
        let key_id = key_id.to_owned();
        let noted = query!(self, |connection| methods::FilterDsl::filter(
            insert_into(key_uses::table)
                .values((key_uses::key_id.eq(&key_id), key_uses::used_on.eq(day)))
                .on_conflict(key_uses::key_id)
                .do_update()
                .set(key_uses::used_on.eq(day)),
            key_uses::used_on.lt(day)
        )
        .execute(connection));
        noted.map(drop)
    }

    /// The last day on which each key was used, by the key's id. A key that is left out was never used.
    pub async fn key_uses(&self) -> Result<HashMap<String, i64>, StoreError> {
        let uses: Vec<(String, i64)> = query!(self, |connection| key_uses::table.load(connection))?;
        Ok(uses.into_iter().collect())
    }

    /// Reads the seal keys that the database knows.
    pub async fn seal_keys(&self) -> Result<Vec<SealKeyRow>, StoreError> {
        query!(self, |connection| seal_keys::table.order_by(seal_keys::key_id).load(connection))
    }

    /// Makes a seal key known; nothing happens if its id is known already.
    pub async fn add_seal_key(&self, key: SealKeyRow) -> Result<(), StoreError> {
        let added = query!(self, |connection| insert_into(seal_keys::table)
            .values(&key)
            .on_conflict_do_nothing()
            .execute(connection));
        added.map(drop)
    }

    /// Forgets a seal key; false, and nothing happens, if somebody is noted for it.
    pub async fn remove_seal_key(&self, key_id: &str) -> Result<bool, StoreError> {
        self.prune_sealers().await?;
        let key_id = key_id.to_owned();
        query!(self, |connection| delete(seal_keys::table.find(&key_id)).execute(connection), then agrees)
    }

    /// Notes for so many seconds that somebody may write records that are sealed by this key, or plain ones, and forgets the
    /// notes that ran out. False, and nothing happens, if the database does not know the key.
    pub async fn note_sealer(
        &self,
        sealer: &str,
        key_id: Option<&str>,
        seconds: u32,
    ) -> Result<bool, StoreError> {
        self.prune_sealers().await?;
        let (sealer, key_id) = (sealer.to_owned(), key_id.map(str::to_owned));
        let expires_at = after(&self.engine, seconds);
        query!(self, |connection| insert_into(sealers::table)
            .values((
                sealers::sealer.eq(&sealer),
                sealers::key_id.eq(&key_id),
                sealers::expires_at.eq(expires_at.clone()),
            ))
            .on_conflict(sealers::sealer)
            .do_update()
            .set(sealers::expires_at.eq(expires_at.clone()))
            .execute(connection), then agrees)
    }

    /// The keys of all who are noted now; `None` for one that writes plain records.
    pub async fn sealers(&self) -> Result<Vec<Option<String>>, StoreError> {
        let now = after(&self.engine, 0);
        query!(self, |connection| sealers::table
            .filter(sealers::expires_at.gt(now.clone()))
            .select(sealers::key_id)
            .load(connection))
    }

    async fn prune_sealers(&self) -> Result<(), StoreError> {
        let now = after(&self.engine, 0);
        let pruned =
            query!(self, |connection| delete(sealers::table.filter(sealers::expires_at.le(now.clone())))
                .execute(connection));
        pruned.map(drop)
    }

    /// Reads the secret of this name, if there is one.
    pub async fn known_secret(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found: Vec<Vec<u8>> =
            query!(self, |connection| secrets::table.find(name).select(secrets::value).load(connection))?;
        Ok(found.pop())
    }

    /// Reads the secret of this name, which becomes the candidate if there is none yet. All callers, on all replicas, get
    /// the same value.
    pub async fn secret(&self, name: &'static str, candidate: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        query!(self, |connection| insert_into(secrets::table)
            .values((secrets::name.eq(name), secrets::value.eq(&candidate)))
            .on_conflict_do_nothing()
            .execute(connection))?;
        self.known_secret(name).await?.ok_or_else(|| StoreError::failed("a secret that was kept is gone"))
    }
}
