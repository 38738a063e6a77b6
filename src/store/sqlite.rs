//! The embedded engine: one writer, a few readers beside it, one file.
//!
//! The write-ahead log lets readers go on while the writer commits; `synchronous=FULL` makes a commit durable before
//! it returns, so that an acknowledged write survives a crash of the process and of the machine.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    thread,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use diesel::{
    connection::SimpleConnection as _,
    insert_into,
    prelude::*,
    result::{DatabaseErrorKind, Error as DieselError},
    sqlite::SqliteConnection,
    update,
    upsert::excluded,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use tokio::sync::oneshot;

use super::{
    Access, Condition, Delete, Position, Put, SigningKey, StoreError, Stored, Version,
    group::{Groups, Outcome, Stamps, Write},
    row::{CustomerRow, NewCustomer, SigningKeyRow},
    schema::{customers, secrets, signing_keys},
};
use crate::{
    account::Account,
    model::{Customer, CustomerId, SortDirection, Timestamp},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How many threads read. They share the operating system's cache of the file, so a few do.
const READERS: usize = 2;

/// How many reads may wait.
const READS_MAX: usize = 1024;

diesel::define_sql_function! {
    #[sql_name = "max"]
    fn later(a: diesel::sql_types::BigInt, b: diesel::sql_types::BigInt) -> diesel::sql_types::BigInt;
}

type Job = Box<dyn FnOnce(&mut SqliteConnection) + Send>;

/// An open SQLite database.
#[derive(Clone)]
pub(super) struct Sqlite {
    readers: Sender<Job>,
}

impl Sqlite {
    pub(super) async fn open(path: &Path, access: Access, queue: Groups) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&path, access, queue));
        opened.await.map_err(StoreError::failed)?
    }

    fn open_blocking(path: &Path, access: Access, queue: Groups) -> Result<Self, StoreError> {
        // An absolute path is never taken for one of SQLite's special names.
        let path = std::path::absolute(path).map_err(StoreError::unavailable)?;
        touch(&path, access)
            .map_err(|error| StoreError::unavailable(format!("cannot open {}: {error}", path.display())))?;
        let mut writer = connect(&path)?;
        migrate(&mut writer)?;
        spawn("sqlite-writer", move || write(&mut writer, queue))?;
        let (readers, jobs) = crossbeam_channel::bounded::<Job>(READS_MAX);
        for _ in 0..READERS {
            let (mut reader, jobs) = (connect(&path)?, jobs.clone());
            spawn("sqlite-reader", move || read(&mut reader, &jobs))?;
        }
        Ok(Self { readers })
    }

    pub(super) async fn get(&self, account: &Account, id: &CustomerId) -> Result<Option<Stored>, StoreError> {
        let (account, id) = (account.clone(), id.clone());
        let row = self.run(move |connection| {
            customers::table
                .filter(customers::account.eq(account.as_str()).and(customers::customer_id.eq(id.as_str())))
                .select(CustomerRow::as_select())
                .first(connection)
                .optional()
        });
        row.await?.map(Stored::try_from).transpose()
    }

    pub(super) async fn list(
        &self,
        account: &Account,
        direction: SortDirection,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<Customer>, StoreError> {
        use customers::{created_at, customer_id};
        let account = account.clone();
        let rows = self.run(move |connection| {
            let mut query = customers::table
                .filter(customers::account.eq(account.as_str()))
                .select(CustomerRow::as_select())
                .limit(limit)
                .into_boxed();
            // The first comparison is implied by the second; the index needs it to find the place.
            query = match (direction, &after) {
                (_, None) => query,
                (SortDirection::Asc, Some(Position { created, customer_id: id })) => query
                    .filter(created_at.ge(created.micros()))
                    .filter(created_at.gt(created.micros()).or(customer_id.gt(id.as_str()))),
                (SortDirection::Desc, Some(Position { created, customer_id: id })) => query
                    .filter(created_at.le(created.micros()))
                    .filter(created_at.lt(created.micros()).or(customer_id.lt(id.as_str()))),
            };
            query = match direction {
                SortDirection::Asc => query.order_by((created_at.asc(), customer_id.asc())),
                SortDirection::Desc => query.order_by((created_at.desc(), customer_id.desc())),
            };
            query.load(connection)
        });
        rows.await?.into_iter().map(|row| Stored::try_from(row).map(|stored| stored.customer)).collect()
    }

    pub(super) async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let rows = self.run(|connection| {
            signing_keys::table
                .order_by((signing_keys::created_at, signing_keys::key_id))
                .select(SigningKeyRow::as_select())
                .load(connection)
        });
        rows.await?.into_iter().map(SigningKey::try_from).collect()
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.run(|connection| diesel::sql_query("SELECT 1").execute(connection).map(drop)).await
    }

    pub(super) async fn add_signing_key(&self, key: SigningKey) -> Result<bool, StoreError> {
        let row = SigningKeyRow::from(key);
        let added = self.run(move |connection| {
            insert_into(signing_keys::table).values(&row).on_conflict_do_nothing().execute(connection)
        });
        Ok(added.await? == 1)
    }

    pub(super) async fn revoke_signing_key(&self, key_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let key_id = key_id.to_owned();
        let revoked = self.run(move |connection| {
            update(signing_keys::table.find(&key_id).filter(signing_keys::revoked_at.is_null()))
                .set(signing_keys::revoked_at.eq(now.micros()))
                .execute(connection)
        });
        Ok(revoked.await? == 1)
    }

    pub(super) async fn secret(&self, name: &'static str, candidate: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let kept = self.run(move |connection| {
            insert_into(secrets::table)
                .values((secrets::name.eq(name), secrets::value.eq(candidate)))
                .on_conflict_do_nothing()
                .execute(connection)?;
            secrets::table.find(name).select(secrets::value).first(connection)
        });
        kept.await
    }

    /// Runs a query on a reader's thread. The rare writes of keys and secrets run there too: the database's own lock
    /// orders them with the writer's.
    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more if the request was given up.
            let _ = reply.send(query(connection));
        });
        self.readers.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::failed("the readers are gone"),
        })?;
        result.await.map_err(StoreError::failed)?.map_err(meaning)
    }
}

/// Makes the file readable by its owner alone, because it is to hold personal data; SQLite gives its companions
/// (`-wal`, `-shm`) the same mode.
fn touch(path: &PathBuf, access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(access == Access::Create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let path = path.to_str().ok_or_else(|| StoreError::unavailable("the path is not UTF-8"))?;
    let mut connection = SqliteConnection::establish(path).map_err(StoreError::unavailable)?;
    connection
        .batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(meaning)?;
    Ok(connection)
}

/// Takes the write lock first, so that several processes may start at once.
fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrated = connection.immediate_transaction(|connection| {
        Ok::<_, DieselError>(connection.run_pending_migrations(MIGRATIONS).map(drop))
    });
    migrated.map_err(meaning)?.map_err(StoreError::Failed)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(StoreError::failed)
}

fn read(connection: &mut SqliteConnection, jobs: &Receiver<Job>) {
    for job in jobs {
        job(connection);
    }
}

fn write(connection: &mut SqliteConnection, mut queue: Groups) {
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
        Err(error) => match alone(group) {
            Ok(write) => write.tell(Err(meaning(error))),
            Err(group) => {
                for write in group {
                    commit(connection, stamps, vec![write]);
                }
            }
        },
    }
}

/// The only write of a group of one.
fn alone(mut group: Vec<Write>) -> Result<Write, Vec<Write>> {
    match (group.pop(), group.is_empty()) {
        (Some(write), true) => Ok(write),
        (last, _) => Err(group.into_iter().chain(last).collect()),
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
    now: i64,
    row: &NewCustomer,
    condition: &Condition,
) -> QueryResult<Put> {
    use customers::{created_at, updated_at};
    let version = Version::from_bytes(&row.version).ok_or(DieselError::NotFound)?;
    let created = (row, created_at.eq(now), updated_at.eq(now));
    let key = customers::table.find((&row.account, &row.customer_id));
    let updated = (row, updated_at.eq(later(now, updated_at + 1)));
    let rows = match condition {
        Condition::Always => {
            let moments: (i64, i64) = insert_into(customers::table)
                .values(created)
                .on_conflict((customers::account, customers::customer_id))
                .do_update()
                .set((row, updated_at.eq(later(excluded(updated_at), updated_at + 1))))
                .returning((created_at, updated_at))
                .get_result(connection)?;
            // An update leaves the moment of creation behind; an insert has both at once.
            return Ok(if moments.0 == moments.1 { Put::Created(version) } else { Put::Updated(version) });
        }
        Condition::Absent => {
            let inserted =
                insert_into(customers::table).values(created).on_conflict_do_nothing().execute(connection)?;
            return Ok(if inserted == 1 { Put::Created(version) } else { Put::ConditionFailed });
        }
        Condition::Present => update(key).set(updated).execute(connection)?,
        Condition::OneOf(versions) => {
            update(key.filter(is_one_of(versions))).set(updated).execute(connection)?
        }
        Condition::Never => 0,
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

/// What an error of the database means to the caller.
fn meaning(error: DieselError) -> StoreError {
    let is_passing = match &error {
        // diesel does not tell SQLite's result codes apart, but its messages are part of SQLite's stable interface.
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            matches!(info.message(), "database is locked" | "database or disk is full")
        }
        _ => false,
    };
    if is_passing { StoreError::unavailable(error) } else { StoreError::failed(error) }
}
