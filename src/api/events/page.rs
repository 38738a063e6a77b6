//! The pages of both lists.

use actix_web::web::Bytes;

use crate::{
    account::Account,
    api::{error::ApiError, state::Api},
    model::{CustomerId, Event, Events},
    store::{EventPage, FeedStart, StoredEvent},
};

/// Reads a page of the events of an account, or of one of its customers, in turn by account with the other lists.
pub(super) async fn read(
    api: &Api,
    account: &Account,
    customer_id: Option<&CustomerId>,
    start: FeedStart,
    limit: u32,
) -> Result<EventPage, ApiError> {
    let _room = api.room_for_list(account).await?;
    api.store.events(account, customer_id, start, limit).await?.ok_or(ApiError::Gone)
}

/// JSON of [`Events`].
pub(super) fn json(events: Vec<StoredEvent>, page_token: Option<String>) -> Result<Bytes, ApiError> {
    let items = events.into_iter().map(Event::try_from).collect::<Result<_, _>>();
    let items = items.map_err(|error| ApiError::Internal(error.into()))?;
    let json = serde_json::to_vec(&Events { items, page_token });
    json.map(Bytes::from).map_err(|error| ApiError::Internal(error.into()))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;
    use crate::api::budget::ANSWERS_BYTES_MAX;

    #[actix_web::test]
    async fn an_account_that_reads_lists_does_not_hold_up_the_events_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let api = Api::of_test(&folder).await;
        let (acme, other): (Account, Account) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let read = || read(&api, &acme, None, FeedStart::Oldest, 20);
        assert!(read().await.unwrap().events.is_empty());
        let half = ANSWERS_BYTES_MAX / 2;
        let _of_other = api.answers.reserve(&other, half).await.unwrap();
        assert!(read().await.unwrap().events.is_empty());
        let own = api.answers.reserve(&acme, half).await.unwrap();
        let mut waiting = pin!(read());
        for _ in 0..100 {
            assert!(poll!(&mut waiting).is_pending(), "all room is taken");
            actix_web::rt::task::yield_now().await;
        }
        drop(own);
        assert!(waiting.await.unwrap().events.is_empty());
    }
}
