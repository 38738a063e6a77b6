//! What is asked of single customers, and of a list of them.

use super::{
    collection::Collection,
    decide::Change,
    engine::{ANSWER_TIMEOUT, Engine, Store, on, within},
    error::StoreError,
    page::{Page, PageQuery},
    row::{CustomerRow, DamagedRow},
    types::{Condition, CustomerPage, DeleteOutcome, LookUp, Position, PutOutcome, Record, StoredCustomer},
    version::{NewVersion, Version},
    write::Told,
};
use crate::{
    model::{CustomerId, SortDirection},
    signature_id::Proof,
};

impl Store {
    /// Creates or replaces a customer, which gets this version. Returns when the outcome is on disk. If the signature of
    /// the version was used before, nothing changes, and the outcome is the first one again.
    pub async fn put(
        &self,
        collection: impl Into<Collection<'_>>,
        id: CustomerId,
        version: NewVersion,
        record: Record,
        condition: Condition,
    ) -> Result<PutOutcome, StoreError> {
        let change = Change::Put { record, new: version, condition };
        self.write(collection.into(), id, change).await?.outcome.try_into().map_err(StoreError::failed)
    }

    /// Deletes a customer, if it has one of these versions; `None` means any. Returns when the outcome is on disk. If the
    /// signature was used before, nothing changes, and the outcome is the first one again.
    pub async fn delete(
        &self,
        collection: impl Into<Collection<'_>>,
        id: CustomerId,
        if_match: Option<Vec<Version>>,
        proof: Option<Proof>,
    ) -> Result<DeleteOutcome, StoreError> {
        let change = Change::Delete { new: NewVersion::of(proof), if_match };
        self.write(collection.into(), id, change).await?.outcome.try_into().map_err(StoreError::failed)
    }

    pub(super) async fn write(&self, collection: Collection<'_>, id: CustomerId, change: Change) -> Told {
        let key = (collection.as_str().to_owned(), id.into_string());
        within(ANSWER_TIMEOUT, self.writes.submit(key, change)).await
    }

    /// Reads a customer.
    pub async fn get(
        &self,
        collection: impl Into<Collection<'_>>,
        id: &CustomerId,
    ) -> Result<Option<StoredCustomer>, StoreError> {
        let row = self.row(&collection.into(), id, i64::MAX).await?;
        row.map(|row| StoredCustomer::try_from(row).map_err(StoreError::failed)).transpose()
    }

    /// Reads a customer, unless its record has more bytes.
    pub async fn look_up(
        &self,
        collection: impl Into<Collection<'_>>,
        id: &CustomerId,
        record_bytes_max: usize,
    ) -> Result<LookUp, StoreError> {
        let record_bytes_max = i64::try_from(record_bytes_max).unwrap_or(i64::MAX);
        let found = match self.row(&collection.into(), id, record_bytes_max).await? {
            Some(row) if row.record.is_empty() => LookUp::TooLarge,
            Some(row) => LookUp::Customer(row.try_into().map_err(StoreError::failed)?),
            None => LookUp::Nothing,
        };
        Ok(found)
    }

    async fn row(
        &self,
        collection: &Collection<'_>,
        id: &CustomerId,
        record_bytes_max: i64,
    ) -> Result<Option<CustomerRow>, StoreError> {
        let found = async { on!(self.find(collection.as_str(), id.as_str(), record_bytes_max)) };
        within(ANSWER_TIMEOUT, found).await
    }

    /// Reads at most `limit` customers of an account in the order of their creation, after a position. There are fewer of
    /// them if their records are large.
    pub async fn list(
        &self,
        collection: impl Into<Collection<'_>>,
        direction: SortDirection,
        after: Option<Position>,
        limit: u32,
    ) -> Result<CustomerPage, StoreError> {
        let collection = collection.into();
        let account = collection.as_str();
        let query = PageQuery { account: account.to_owned(), direction, after, limit };
        let page = async { on!(self.list(query)) };
        let (snapshot, Page { rows, has_more, .. }) = within(ANSWER_TIMEOUT, page).await?;
        // A damaged row does not hide the others.
        let sound = |row: Result<StoredCustomer, DamagedRow>| {
            row.inspect_err(|damaged| tracing::error!(account, %damaged, "a customer is left out of a list"))
                .ok()
        };
        let customers: Vec<StoredCustomer> = rows.into_iter().filter_map(sound).collect();
        if customers.is_empty() && has_more {
            return Err(StoreError::failed("a page of damaged rows"));
        }
        let next = customers.last().filter(|_| has_more);
        let next = next.map(|last| Position {
            created: last.created,
            customer_id: last.customer_id.clone(),
            snapshot,
        });
        Ok(CustomerPage { customers, next })
    }
}
