//! Rows, and their conversion to the store's types.

use diesel::{Insertable, Queryable, Selectable};

use super::{
    decide::Current,
    schema::{customers, key_limits, signing_keys},
    types::{RawCustomer, Record, SigningKey, StoredCustomer, UnusableKey},
    version::Version,
};
use crate::{
    model::{CustomerId, Timestamp},
    scope::Scope,
};

/// A row of `customers`, without the account, which the caller knows.
#[derive(Queryable, Selectable)]
#[diesel(table_name = customers)]
pub(super) struct CustomerRow {
    pub customer_id: String,
    pub version: Vec<u8>,
    pub created_at: i64,
    pub updated_at: i64,
    pub sealed_by: Option<String>,
    pub record: Vec<u8>,
}

/// What a write is decided from, as the database has it.
#[derive(Queryable)]
pub(super) struct CurrentRow(pub Vec<u8>, pub i64, pub i64, pub Option<i64>);

impl From<CurrentRow> for Current {
    fn from(CurrentRow(version, created, updated, signature_expires_at): CurrentRow) -> Self {
        Self { version: Version::from_bytes(&version), created, updated, signature_expires_at }
    }
}

/// The columns of a [`CustomerRow`], for texts of SQL.
macro_rules! customer_row {
    () => {
        "customer_id, version, created_at, updated_at, sealed_by, record"
    };
}

/// The same, where a record that has more bytes than this parameter is empty.
macro_rules! customer_row_within {
    ($bytes_max:literal) => {
        concat!(
            "customer_id, version, created_at, updated_at, sealed_by, CASE WHEN length(record) <= ",
            $bytes_max,
            " THEN record ELSE '' END AS record"
        )
    };
}

/// The columns of a [`CurrentRow`].
macro_rules! current_row {
    () => {
        "version, created_at, updated_at, signature_expires_at"
    };
}

pub(super) use {current_row, customer_row, customer_row_within};

/// Why a row is not a customer, without a word of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of customers is damaged: {0}")]
pub(super) struct DamagedRow(&'static str);

impl TryFrom<CustomerRow> for StoredCustomer {
    type Error = DamagedRow;

    fn try_from(row: CustomerRow) -> Result<Self, DamagedRow> {
        let CustomerRow { customer_id, version, created_at, updated_at, sealed_by, record } = row;
        let timestamp =
            |micros| Timestamp::from_micros(micros).ok_or(DamagedRow("a timestamp is out of range"));
        Ok(Self {
            customer_id: CustomerId::try_from(customer_id)
                .map_err(|_| DamagedRow("the customer id breaks the contract"))?,
            version: Version::from_bytes(&version).ok_or(DamagedRow("the version is malformed"))?,
            created: timestamp(created_at)?,
            updated: timestamp(updated_at)?,
            record: Record { bytes: record, sealed_by },
        })
    }
}

/// Keeps a damaged row, so that it can be reported by its key.
pub(super) fn raw((account, row): (String, CustomerRow)) -> RawCustomer {
    let customer_id = row.customer_id.clone();
    let customer = StoredCustomer::try_from(row).map_err(|DamagedRow(reason)| reason);
    RawCustomer { account, customer_id, customer }
}

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
pub(super) struct SigningKeyRow {
    pub key_id: String,
    pub account: String,
    pub algorithm: String,
    pub public_key: String,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

/// A row of `key_limits`: what a key may less than write for ever. Older versions do not read it, so that they must not accept
/// the key: its [`SigningKeyRow`] is revoked from the beginning, and `revoked_at` stands here.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = key_limits)]
pub(super) struct KeyLimitsRow {
    pub key_id: String,
    pub scope: String,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

/// A key as the tables have it.
pub(super) type KeyRows = (SigningKeyRow, Option<KeyLimitsRow>);

impl From<SigningKey> for KeyRows {
    fn from(key: SigningKey) -> Self {
        let SigningKey { key_id, account, algorithm, public_key, created, scope, expires, revoked } = key;
        let (created_at, revoked_at) = (created.micros(), revoked.map(Timestamp::micros));
        let limits = (scope != Scope::Write || expires.is_some()).then(|| KeyLimitsRow {
            key_id: key_id.clone(),
            scope: scope.to_string(),
            expires_at: expires.map(Timestamp::micros),
            revoked_at,
        });
        let row = SigningKeyRow {
            key_id,
            account: account.as_str().to_owned(),
            algorithm,
            public_key,
            created_at,
            revoked_at: if limits.is_some() { Some(created_at) } else { revoked_at },
        };
        (row, limits)
    }
}

impl TryFrom<KeyRows> for SigningKey {
    type Error = UnusableKey;

    fn try_from((row, limits): KeyRows) -> Result<Self, UnusableKey> {
        let SigningKeyRow { key_id, account, algorithm, public_key, created_at, revoked_at } = row;
        let (scope, expires_at, revoked_at) = match limits {
            None => (Ok(Scope::Write), None, revoked_at),
            Some(KeyLimitsRow { key_id: _, scope, expires_at, revoked_at }) => {
                (scope.parse(), expires_at, revoked_at)
            }
        };
        let unusable = |reason| UnusableKey { key_id: key_id.clone(), reason };
        let timestamp =
            |micros| Timestamp::from_micros(micros).ok_or_else(|| unusable("a timestamp is out of range"));
        Ok(Self {
            account: account.parse().map_err(|_| unusable("the account name is malformed"))?,
            created: timestamp(created_at)?,
            scope: scope.map_err(|_| unusable("the scope is unknown"))?,
            expires: expires_at.map(timestamp).transpose()?,
            revoked: revoked_at.map(timestamp).transpose()?,
            key_id,
            algorithm,
            public_key,
        })
    }
}
