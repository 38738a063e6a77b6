//! Rows, and how customers become rows and rows customers.

use chrono::NaiveDate;
use diesel::{Insertable, Queryable, Selectable};

use super::{
    StoreError, Stored, Version,
    schema::{customers, signing_keys},
};
use crate::{
    account::Account,
    model::{
        Customer, CustomerFields, CustomerId, CustomerIdentity, CustomerInput, FullName, StreetAddress,
        Timestamp,
    },
};

/// A row of `customers`, without the moments, which the writer knows.
pub(super) struct NewCustomer {
    pub account: String,
    pub customer_id: String,
    pub first_name: String,
    pub last_name: String,
    pub middle_name: Option<String>,
    pub date_of_birth: NaiveDate,
    pub identities: String,
    pub street: String,
    pub street2: Option<String>,
    pub city: String,
    pub post_code: String,
    pub state: String,
    pub country: &'static str,
    pub version: Vec<u8>,
}

impl NewCustomer {
    pub(super) fn new(
        account: &Account,
        id: CustomerId,
        input: CustomerInput,
        version: Version,
    ) -> Result<Self, StoreError> {
        let CustomerFields { full_name, date_of_birth, identities, primary_residence } = input.into_fields();
        let FullName { first_name, last_name, middle_name } = full_name;
        let StreetAddress { street, street2, city, post_code, state, country } = primary_residence;
        Ok(Self {
            account: account.as_str().to_owned(),
            customer_id: id.into_string(),
            first_name,
            last_name,
            middle_name,
            date_of_birth: date_of_birth.into(),
            identities: serde_json::to_string(&identities).map_err(StoreError::failed)?,
            street,
            street2,
            city,
            post_code,
            state,
            country: country.as_str(),
            version: version.as_bytes().to_vec(),
        })
    }
}

/// A row of `customers`, without the account, which the asker knows.
#[derive(Queryable, Selectable)]
#[diesel(table_name = customers)]
pub(super) struct CustomerRow {
    pub customer_id: String,
    pub first_name: String,
    pub last_name: String,
    pub middle_name: Option<String>,
    pub date_of_birth: NaiveDate,
    pub identities: String,
    pub street: String,
    pub street2: Option<String>,
    pub city: String,
    pub post_code: String,
    pub state: String,
    pub country: String,
    pub version: Vec<u8>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl TryFrom<CustomerRow> for Stored {
    type Error = StoreError;

    /// Checks what the database holds as strictly as what a caller sends.
    fn try_from(row: CustomerRow) -> Result<Self, StoreError> {
        let CustomerRow {
            customer_id,
            first_name,
            last_name,
            middle_name,
            date_of_birth,
            identities,
            street,
            street2,
            city,
            post_code,
            state,
            country,
            version,
            created_at,
            updated_at,
        } = row;
        let identities: Vec<CustomerIdentity> =
            serde_json::from_str(&identities).map_err(StoreError::failed)?;
        let country = country.parse().map_err(StoreError::failed)?;
        let fields = CustomerFields {
            full_name: FullName { first_name, last_name, middle_name },
            date_of_birth: date_of_birth.try_into().map_err(StoreError::failed)?,
            identities,
            primary_residence: StreetAddress { street, street2, city, post_code, state, country },
        };
        let input =
            CustomerInput::try_from(fields).map_err(|_| StoreError::failed("a row breaks the contract"))?;
        let id = CustomerId::try_from(customer_id).map_err(StoreError::failed)?;
        Ok(Self {
            customer: Customer::new(id, timestamp(created_at)?, input),
            version: Version::from_bytes(&version)
                .ok_or_else(|| StoreError::failed("a version is malformed"))?,
            updated: timestamp(updated_at)?,
        })
    }
}

/// A row of `signing_keys`.
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

/// A key that may sign requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// What `kid` names it by.
    pub key_id: String,
    /// Who signs with it.
    pub account: Account,
    /// The one JWS algorithm that it verifies, such as `ES384`.
    pub algorithm: String,
    /// The public half: `SubjectPublicKeyInfo`, PEM.
    pub public_key: String,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

impl From<SigningKey> for SigningKeyRow {
    fn from(key: SigningKey) -> Self {
        let SigningKey { key_id, account, algorithm, public_key, created, revoked } = key;
        Self {
            key_id,
            account: account.as_str().to_owned(),
            algorithm,
            public_key,
            created_at: created.micros(),
            revoked_at: revoked.map(Timestamp::micros),
        }
    }
}

impl TryFrom<SigningKeyRow> for SigningKey {
    type Error = StoreError;

    fn try_from(row: SigningKeyRow) -> Result<Self, StoreError> {
        let SigningKeyRow { key_id, account, algorithm, public_key, created_at, revoked_at } = row;
        Ok(Self {
            key_id,
            account: account.parse().map_err(StoreError::failed)?,
            algorithm,
            public_key,
            created: timestamp(created_at)?,
            revoked: revoked_at.map(timestamp).transpose()?,
        })
    }
}

fn timestamp(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_micros(micros).ok_or_else(|| StoreError::failed("a moment is out of range"))
}
