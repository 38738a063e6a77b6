//! Customers and keys in the database: every query the service runs, and nothing else.
//!
//! One interface, one file for each engine behind it. Invariants: nothing here knows HTTP ([`StoreError`] says what
//! happened, `api` decides the status), every write is one statement, and an outcome is told after its commit.

mod error;
mod group;
mod postgres;
mod row;
mod schema;
mod sqlite;
mod url;
mod version;

pub use error::StoreError;
pub use group::GROUP_WRITES_MAX;
pub use postgres::{InvalidPostgresUrl, PostgresUrl};
pub use row::SigningKey;
pub use url::{DatabaseUrl, InvalidDatabaseUrl};
pub use version::{InvalidVersion, Version};

use std::time::Duration;

use tokio::time::timeout;

use self::{
    group::{Queue, Write},
    postgres::Postgres,
    row::NewCustomer,
    sqlite::Sqlite,
};
use crate::{
    account::Account,
    model::{Customer, CustomerId, CustomerInput, SortDirection, Timestamp},
};

/// Whether a database that is not there may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Make it, and bring its tables up to date.
    Create,
    /// It must be there: a mistyped path is an error, never an empty database.
    Existing,
}

/// When a write is carried out: RFC 9110, 13.1, in the store's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Only if no such customer is there.
    Absent,
    /// Only if such a customer is there.
    Present,
    /// Only if the customer is there in one of these versions.
    OneOf(Vec<Version>),
    /// Not at all: the request's preconditions exclude each other.
    Never,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The customer is new, in this version.
    Created(Version),
    /// The customer was replaced by this version.
    Updated(Version),
    /// Nothing was written.
    ConditionFailed,
}

/// What became of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delete {
    /// The customer is gone.
    Deleted,
    /// There was none.
    NotFound,
    /// It is there, in another version.
    ConditionFailed,
}

/// A customer, and what the store knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The customer.
    pub customer: Customer,
    /// Its state.
    pub version: Version,
    /// When it came into that state.
    pub updated: Timestamp,
}

/// A place in a list: right after this customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The customer's moment of creation.
    pub created: Timestamp,
    /// The customer's id, which orders customers that were created at the same moment.
    pub customer_id: CustomerId,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The customers, in order.
    pub customers: Vec<Customer>,
    /// Where the next part begins; `None` after the last one.
    pub next: Option<Position>,
}

/// How long the database may take to show that it is there.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The database, whichever engine it is. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    writes: Queue,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// One call, on whichever engine it is.
macro_rules! on {
    ($store:ident.$call:ident($($argument:expr),*)) => {
        match &$store.engine {
            Engine::Sqlite(engine) => engine.$call($($argument),*).await,
            Engine::Postgres(engine) => engine.$call($($argument),*).await,
        }
    };
}

impl Store {
    /// Opens the database and brings its tables up to date.
    pub async fn open(url: &DatabaseUrl, access: Access) -> Result<Self, StoreError> {
        Self::open_with_groups(url, access, GROUP_WRITES_MAX).await
    }

    /// The same, where a transaction takes at most so many writes.
    pub async fn open_with_groups(
        url: &DatabaseUrl,
        access: Access,
        group_writes_max: usize,
    ) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                let (writes, [queue]) = Queue::with_lanes(group_writes_max);
                Ok(Self { engine: Engine::Sqlite(Sqlite::open(path, access, queue).await?), writes })
            }
            // There is no way to make a database by connecting to it, so a mistyped name is an error in any case.
            DatabaseUrl::Postgres(url) => {
                let (writes, queues) = Queue::with_lanes(group_writes_max);
                Ok(Self { engine: Engine::Postgres(Postgres::open(url, queues).await?), writes })
            }
        }
    }

    /// Whether the database answers, soon.
    pub async fn check(&self) -> Result<(), StoreError> {
        timeout(CHECK_TIMEOUT, async { on!(self.check()) }).await.map_err(StoreError::unavailable)?
    }

    /// Creates or replaces a customer; returns when the outcome is on disk.
    pub async fn put(
        &self,
        account: &Account,
        id: CustomerId,
        input: CustomerInput,
        condition: Condition,
    ) -> Result<Put, StoreError> {
        let row = Box::new(NewCustomer::new(account, id, input, Version::new())?);
        self.writes.submit(|reply| Write::Put { row, condition, reply }).await
    }

    /// Deletes a customer, if it is in one of these versions; `None` is any.
    pub async fn delete(
        &self,
        account: &Account,
        id: CustomerId,
        if_match: Option<Vec<Version>>,
    ) -> Result<Delete, StoreError> {
        let (account, customer_id) = (account.as_str().to_owned(), id.into_string());
        self.writes.submit(|reply| Write::Delete { account, customer_id, if_match, reply }).await
    }

    /// Reads a customer.
    pub async fn get(&self, account: &Account, id: &CustomerId) -> Result<Option<Stored>, StoreError> {
        on!(self.get(account, id))
    }

    /// Reads at most `limit` of an account's customers in the order of their creation, after a position.
    pub async fn list(
        &self,
        account: &Account,
        direction: SortDirection,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let mut customers = on!(self.list(account, direction, after, i64::from(limit) + 1))?;
        let is_last = customers.len() <= limit as usize;
        customers.truncate(limit as usize);
        let next = customers.last().filter(|_| !is_last);
        let next = next.map(|last| Position { created: last.created, customer_id: last.customer_id.clone() });
        Ok(Page { customers, next })
    }

    /// Every registered key, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        on!(self.signing_keys())
    }

    /// Registers a key; false if its id is taken.
    pub async fn add_signing_key(&self, key: SigningKey) -> Result<bool, StoreError> {
        on!(self.add_signing_key(key))
    }

    /// Revokes a key; false if there is no such key or it is revoked already.
    pub async fn revoke_signing_key(&self, key_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        on!(self.revoke_signing_key(key_id, now))
    }

    /// What is kept under this name; the candidate, if nothing is yet. All callers, replicas too, get the same value.
    pub async fn secret(&self, name: &'static str, candidate: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        on!(self.secret(name, candidate))
    }
}
