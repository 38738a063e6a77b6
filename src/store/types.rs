//! The words in which the store is asked, and in which it answers.

use std::fmt;

use diesel::{Insertable, Queryable};

use super::{collection::Collection, schema::seal_keys, version::Version};
use crate::{
    account::Account,
    model::{CustomerId, Timestamp},
    scope::Scope,
};

/// What is done with a database, and whether one that does not exist may be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It must exist, and is only read: a backup stays one, which has no write-ahead log.
    Read,
    /// Create it, and bring its tables up to date.
    Create,
    /// It must exist: a mistyped path is an error, never an empty database.
    Existing,
}

/// A customer's fields as bytes. The store keeps them and never looks into them.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The key that sealed the bytes; `None` if they are plain JSON.
    pub sealed_by: Option<String>,
}

/// Without the bytes, which are personal data.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, sealed_by } = self;
        formatter.debug_struct("Record").field("bytes", &bytes.len()).field("sealed_by", sealed_by).finish()
    }
}

/// When a write is carried out: the preconditions of RFC 9110, 13.1, in the store's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// Only if there is no such customer.
    Absent,
    /// Only if there is such a customer.
    Present,
    /// Only if the customer has one of these versions.
    OneOf(Vec<Version>),
    /// Never: the preconditions of the request exclude each other.
    Never,
}

/// The outcome of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The customer is new, in this version.
    Created(Version),
    /// The customer was replaced by this version.
    Updated(Version),
    /// The condition did not hold. Nothing was written.
    ConditionFailed,
}

/// The outcome of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The customer was deleted.
    Deleted,
    /// There is no such customer.
    NotFound,
    /// The customer has another version. Nothing was deleted.
    ConditionFailed,
}

/// A customer, and what the store knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCustomer {
    /// The id under which the customer was put.
    pub customer_id: CustomerId,
    /// The customer's fields.
    pub record: Record,
    /// The version of the customer.
    pub version: Version,
    /// When the customer was created.
    pub created: Timestamp,
    /// When the customer was last changed.
    pub updated: Timestamp,
}

/// What there is under an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// No customer.
    Nothing,
    /// A customer whose record was not read, because it is larger than what was asked for.
    TooLarge,
    /// A customer.
    Customer(StoredCustomer),
}

/// A row of `customers` as it stands in the database, which nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCustomer {
    /// The account, as text.
    pub account: String,
    /// The customer's id, as text.
    pub customer_id: String,
    /// The same row as a customer, or the reason why it cannot be one.
    pub customer: Result<StoredCustomer, &'static str>,
}

impl RawCustomer {
    /// The key of the row, as it may be shown.
    pub fn key(&self) -> String {
        shown_key(&self.account, &self.customer_id)
    }
}

/// A key, such as `acme/c-1`. A text that is not a name or an id may hold anything, and is shown as `?`.
pub fn shown_key(account: &str, customer_id: &str) -> String {
    let account = Collection::parse(account).map_or("?", |_| account);
    let customer_id = customer_id.parse::<CustomerId>().map_or("?", |_| customer_id);
    format!("{account}/{}", customer_id.escape_debug())
}

/// A customer that comes from another database, as it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedCustomer {
    /// The account that the customer belongs to.
    pub account: Account,
    /// The customer.
    pub customer: StoredCustomer,
}

/// The outcome of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The customer was written.
    Written,
    /// The customer is there already, in the same version. Nothing was written.
    AlreadyThere,
    /// The customer is there already, in another version. Nothing was written.
    Taken,
}

/// A record in another form: the same fields of the same version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reseal {
    /// The account.
    pub account: String,
    /// The customer's id.
    pub customer_id: String,
    /// The version that the record belongs to. A customer that has another one by now is left as it is.
    pub version: Version,
    /// The new form.
    pub record: Record,
}

/// A seal key that the database knows.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = seal_keys)]
pub struct SealKeyRow {
    /// The id of the key.
    pub key_id: String,
    /// A known text, sealed by the key.
    pub check_value: Vec<u8>,
}

/// What was there when a walk through a list began, in the words of the engine. Later pages leave out customers that
/// were created since: otherwise a customer that is deleted and created again could be listed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(
    /// At most 1,100 ASCII characters.
    pub String,
);

/// A position in a list: right after this customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// When the customer was created.
    pub created: Timestamp,
    /// The customer's id, which orders customers that were created at the same time.
    pub customer_id: CustomerId,
    /// What was there when the walk began.
    pub snapshot: Snapshot,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerPage {
    /// The customers, in order.
    pub customers: Vec<StoredCustomer>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Position>,
}

/// A key that may sign requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The id by which `kid` names the key.
    pub key_id: String,
    /// The account that signs with the key.
    pub account: Account,
    /// The one JWS algorithm that the key verifies, such as `ES384`.
    pub algorithm: String,
    /// The public half: `SubjectPublicKeyInfo`, PEM.
    pub public_key: String,
    /// When the key was registered.
    pub created: Timestamp,
    /// What the key may do.
    pub scope: Scope,
    /// When the key expires, if it does.
    pub expires: Option<Timestamp>,
    /// When the key was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

impl SigningKey {
    /// From which second on the key is not accepted any more, in Unix seconds, if it expires.
    pub fn expires_at(&self) -> Option<i64> {
        self.expires.map(Timestamp::seconds)
    }

    /// Whether signatures by the key are accepted at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires_at().is_none_or(|expires_at| now.seconds() < expires_at)
    }
}

/// A row of `signing_keys` that is not a [`SigningKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct UnusableKey {
    /// The id of the key.
    pub key_id: String,
    /// Why the key cannot be used.
    pub reason: &'static str,
}
