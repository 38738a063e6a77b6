use futures_util::{Stream, stream::try_unfold};

use crate::store::{RawCustomer, RawEvent, Store, StoreError};

const PAGE_ROWS: u32 = 500;

const PAGE_EVENTS: u32 = 1000;

/// All rows of `customers`, page by page, in the order of their keys.
pub(super) fn customers(store: &Store) -> impl Stream<Item = Result<Vec<RawCustomer>, StoreError>> {
    try_unfold(None, move |after| async move {
        let page = store.scan(after, PAGE_ROWS).await?;
        let last = page.last().map(|last| (last.account.clone(), last.customer_id.clone()));
        Ok(last.map(|last| (page, Some(last))))
    })
}

/// All rows of `events` after this place, page by page, in the order of account, customer and position.
pub(super) fn events(
    store: &Store,
    after: (String, String, i64),
) -> impl Stream<Item = Result<Vec<RawEvent>, StoreError>> {
    try_unfold(after, move |after| async move {
        let page = store.scan_events(after, PAGE_EVENTS).await?;
        let last = page.last().map(|last| (last.account.clone(), last.customer_id.clone(), last.position));
        Ok(last.map(|last| (page, last)))
    })
}
