//! What a row shows of the write that made it.
//!
//! A put does not write its signature down elsewhere: the row has the signature's hash as its version. So a new customer
//! costs one row and no entry among the used signatures, whose order has nothing to do with that of the rows. Only when
//! the row is replaced or deleted does its signature move there.

use diesel::{OptionalExtension as _, QueryResult, RunQueryDsl as _, sqlite::SqliteConnection};

use super::{
    super::{
        types::{Condition, PutOutcome},
        used::{Outcome as _, expired_before},
        version::Version,
    },
    sql::{InsertUsed, SelectLastWrite},
};

/// The last write of a customer that exists.
pub(super) struct LastWrite {
    version: Version,
    /// Whether it created the customer.
    was_created: bool,
    signature_expires_at: Option<i64>,
}

impl LastWrite {
    pub(super) fn find(
        connection: &mut SqliteConnection,
        account: &str,
        customer_id: &str,
    ) -> QueryResult<Option<Self>> {
        let select = SelectLastWrite { account, customer_id };
        let row = select.get_result::<(Vec<u8>, bool, Option<i64>)>(connection).optional()?;
        Ok(row.map(|(version, was_created, signature_expires_at)| {
            // No signature and no precondition names a damaged version.
            let version = Version::from_bytes(&version).unwrap_or(Version::ZERO);
            Self { version, was_created, signature_expires_at }
        }))
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// What its caller was told.
    pub(super) fn outcome(&self) -> PutOutcome {
        if self.was_created { PutOutcome::Created(self.version) } else { PutOutcome::Updated(self.version) }
    }

    /// Whether a put with this condition may replace it.
    pub(super) fn meets(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Always | Condition::Present => true,
            Condition::OneOf(versions) => versions.contains(&self.version),
            Condition::Absent | Condition::Never => false,
        }
    }

    /// Keeps its signature, because the row is about to be replaced or deleted.
    pub(super) fn keep_signature(&self, connection: &mut SqliteConnection) -> QueryResult<()> {
        let Some(expires_at) = self.signature_expires_at.filter(|expires_at| *expires_at >= expired_before())
        else {
            return Ok(());
        };
        let (hash, outcome) = (self.version.as_bytes(), self.outcome().to_bytes());
        InsertUsed { expires_at, hash, outcome: &outcome }.execute(connection).map(drop)
    }
}
