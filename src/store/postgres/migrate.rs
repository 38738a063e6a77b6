//! Brings the tables up to date, however many replicas start at the same moment.

use std::{sync::Arc, time::Duration};

use diesel::{migration::MigrationSource, pg::Pg};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use tokio::time::sleep;
use tokio_postgres::{Client, Error as PostgresError, error::SqlState};

use super::{
    super::error::StoreError,
    connect::{Connector, Driver},
    error::store_error,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// What the replicas agree on: any number that nobody else uses, here `customer` in ASCII.
const LOCK: i64 = 0x6375_7374_6f6d_6572;

/// How often the migrations are tried. Without a lock, the second try finds what another replica has done.
const ATTEMPTS_MAX: u32 = 5;

const PAUSE: Duration = Duration::from_millis(200);

/// The lock is a transaction's, on a connection of its own, so that it is gone with whatever ends the connection and
/// passes through a pooler. Under a stricter isolation level, or a timeout, waiting for it would fail.
const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

pub(super) async fn migrate(connector: &Arc<Connector>) -> Result<(), StoreError> {
    let (holder, _driver) = connector.connect().await?;
    let encoding =
        holder.query_one("SHOW server_encoding", &[]).await.map_err(|error| store_error(&error))?;
    if encoding.try_get::<_, &str>(0).map_err(StoreError::failed)? != "UTF8" {
        return Err(StoreError::failed("the database must be made with ENCODING 'UTF8', to hold every text"));
    }
    if is_up_to_date(&holder).await? {
        return Ok(());
    }
    lock(&holder).await.map_err(|error| store_error(&error))?;
    let mut attempt = 1;
    while let Err(error) = run(connector.connect().await?).await {
        if attempt == ATTEMPTS_MAX {
            return Err(error);
        }
        attempt += 1;
        sleep(PAUSE).await;
    }
    // The lock goes with the connection if not before.
    holder.batch_execute("COMMIT").await.map_err(|error| store_error(&error))
}

/// Reads what diesel writes down. Most starts find nothing to do, and then need no right to make tables.
async fn is_up_to_date(holder: &Client) -> Result<bool, StoreError> {
    let rows = match holder.query("SELECT version FROM __diesel_schema_migrations", &[]).await {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(false),
        Err(error) => return Err(store_error(&error)),
    };
    let versions = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>();
    let versions = versions.map_err(|error| store_error(&error))?;
    let migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(StoreError::Failed)?;
    Ok(migrations.iter().all(|migration| versions.contains(&migration.name().version().to_string())))
}

/// Some engines that speak the protocol have no such locks; there, a failed try is repeated.
async fn lock(holder: &Client) -> Result<(), PostgresError> {
    holder.batch_execute(BEGIN).await?;
    match holder.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await {
        Err(error) if has_no_locks(&error) => holder.batch_execute("ROLLBACK; BEGIN").await,
        locked => locked,
    }
}

fn has_no_locks(error: &PostgresError) -> bool {
    matches!(error.code(), Some(&SqlState::UNDEFINED_FUNCTION | &SqlState::FEATURE_NOT_SUPPORTED))
}

/// diesel's migrations are synchronous, hence the thread.
async fn run((client, driver): (Client, Driver)) -> Result<(), StoreError> {
    client.batch_execute("SET statement_timeout = 0").await.map_err(|error| store_error(&error))?;
    let connection = AsyncPgConnection::try_from(client).await.map_err(StoreError::unavailable)?;
    let migrated = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::<AsyncPgConnection>::from(connection);
        connection.run_pending_migrations(MIGRATIONS).map(drop).map_err(StoreError::Failed)
    });
    let migrated = migrated.await.map_err(StoreError::failed)?;
    drop(driver);
    migrated
}
