use crate::store::{RawCustomer, Store, StoreError};

/// How many rows are read at once.
const PAGE_ROWS: u32 = 500;

/// All rows of `customers`, page by page, in the order of their keys.
pub(super) struct Rows<'a> {
    store: &'a Store,
    after: Option<(String, String)>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, after: None }
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<RawCustomer>>, StoreError> {
        let page = self.store.scan(self.after.take(), PAGE_ROWS).await?;
        self.after = page.last().map(|last| (last.account.clone(), last.customer_id.clone()));
        Ok(self.after.is_some().then_some(page))
    }
}
