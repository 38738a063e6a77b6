//! Keys and secrets: queries that are rare, written once for both engines.

use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _, delete, insert_into,
    sqlite::SqliteConnection, update,
};
use diesel_async::AsyncPgConnection;

use super::{
    engine::{ANSWER_TIMEOUT, Engine, Store, within},
    error::StoreError,
    row::SigningKeyRow,
    schema::{seal_keys, secrets, signing_keys},
    types::{SealKeyRow, SigningKey, UnusableKey},
};
use crate::model::Timestamp;

/// Runs one query on the engine that is open. The same words of diesel are a synchronous query there and an asynchronous one
/// here.
macro_rules! query {
    ($store:ident, |$connection:ident| $query:expr) => {
        match &$store.engine {
            Engine::Sqlite(engine) => {
                use diesel::RunQueryDsl as _;
                engine.query(move |$connection: &mut SqliteConnection| $query).await
            }
            Engine::Postgres(engine) => {
                use diesel_async::RunQueryDsl as _;
                engine.query(async move |$connection: &mut AsyncPgConnection| $query.await).await
            }
        }
    };
}

impl Store {
    /// Reads every registered key, oldest first. A row that cannot be used does not hide the others.
    pub async fn signing_keys(&self) -> Result<Vec<Result<SigningKey, UnusableKey>>, StoreError> {
        let read = async {
            if let Engine::Sqlite(engine) = &self.engine {
                engine.check_file().await?;
            }
            query!(self, |connection| signing_keys::table
                .order_by((signing_keys::created_at, signing_keys::key_id))
                .select(SigningKeyRow::as_select())
                .load(connection))
        };
        let rows: Vec<SigningKeyRow> = within(ANSWER_TIMEOUT, read).await?;
        Ok(rows.into_iter().map(SigningKey::try_from).collect())
    }

    /// Registers a key; false if its id is taken.
    pub async fn add_signing_key(&self, key: SigningKey) -> Result<bool, StoreError> {
        let row = SigningKeyRow::from(key);
        let added = query!(self, |connection| insert_into(signing_keys::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(connection))?;
        Ok(added == 1)
    }

    /// Revokes a key; false if there is no such key or it is revoked already.
    pub async fn revoke_signing_key(&self, key_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let key_id = key_id.to_owned();
        let revoked = query!(self, |connection| update(
            signing_keys::table.find(key_id).filter(signing_keys::revoked_at.is_null())
        )
        .set(signing_keys::revoked_at.eq(now.micros()))
        .execute(connection))?;
        Ok(revoked == 1)
    }

    /// Reads the seal keys that the database knows.
    pub async fn seal_keys(&self) -> Result<Vec<SealKeyRow>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> =
            query!(self, |connection| seal_keys::table.order_by(seal_keys::key_id).load(connection))?;
        Ok(rows.into_iter().map(|(key_id, check_value)| SealKeyRow { key_id, check_value }).collect())
    }

    /// Makes a seal key known; nothing happens if its id is known already.
    pub async fn add_seal_key(&self, key: SealKeyRow) -> Result<(), StoreError> {
        let SealKeyRow { key_id, check_value } = key;
        let added = query!(self, |connection| insert_into(seal_keys::table)
            .values((seal_keys::key_id.eq(key_id), seal_keys::check_value.eq(check_value)))
            .on_conflict_do_nothing()
            .execute(connection));
        added.map(drop)
    }

    /// Forgets a seal key.
    pub async fn remove_seal_key(&self, key_id: &str) -> Result<(), StoreError> {
        let key_id = key_id.to_owned();
        query!(self, |connection| delete(seal_keys::table.find(key_id)).execute(connection)).map(drop)
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
            .values((secrets::name.eq(name), secrets::value.eq(candidate)))
            .on_conflict_do_nothing()
            .execute(connection))?;
        self.known_secret(name).await?.ok_or_else(|| StoreError::failed("a secret that was kept is gone"))
    }
}
