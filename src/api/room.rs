//! Large answers, which are counted from before they are read until the client has taken them.

use actix_web::web::Bytes;

use super::{
    budget::{CONNECTION_BYTES_MAX, NoRoom, Share},
    error::ApiError,
    settings::BODY_BYTES_MAX,
    state::Api,
};
use crate::{
    account::Account,
    model::CustomerId,
    store::{Collection, Kind, LookUp, PAGE_BYTES_MAX, StoredCustomer},
};

/// How much larger than their records answers may be, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

impl Api {
    /// Waits for room for the largest page of a list, in turn by account.
    pub(super) async fn room_for_list(&self, account: &Account) -> Result<Share, NoRoom> {
        self.answers.reserve(account, PAGE_BYTES_MAX + ANSWER_BYTES).await
    }

    /// Reads a customer. A small one fits into what each connection has. A large one is read when there is room
    /// for it.
    pub(super) async fn find(
        &self,
        account: &Account,
        kind: Kind,
        id: &CustomerId,
    ) -> Result<Option<(StoredCustomer, Option<Share>)>, ApiError> {
        let collection = Collection::new(account, kind);
        match self.store.look_up(collection.by_ref(), id, CONNECTION_BYTES_MAX).await? {
            LookUp::Nothing => Ok(None),
            LookUp::Customer(customer) => Ok(Some((customer, None))),
            LookUp::TooLarge => {
                let room = self.answers.reserve(account, BODY_BYTES_MAX + ANSWER_BYTES).await?;
                let customer = self.store.get(collection, id).await?;
                Ok(customer.map(|customer| (customer, Some(room))))
            }
        }
    }

    /// A customer as an answer, in the room that it has.
    pub(super) fn answer(
        &self,
        account: &Account,
        kind: Kind,
        customer: &StoredCustomer,
        room: Option<Share>,
    ) -> Result<Bytes, ApiError> {
        let json = self.records.answer(Collection::new(account, kind), customer)?.into();
        match room {
            Some(room) => Ok(room.keep(json)?),
            None => Ok(json),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use actix_web::rt::task::yield_now;
    use futures_util::poll;
    use serde_json::json;

    use super::*;
    use crate::{
        api::budget::ANSWERS_BYTES_MAX,
        store::{Condition, NewVersion},
    };

    async fn put(api: &Api, account: &Account, id: &str, letters: usize) -> CustomerId {
        let (id, new): (CustomerId, _) = (id.parse().unwrap(), NewVersion::of(None));
        let fields = json!({ "FullName": "a".repeat(letters) });
        let record = api.records.encode(account, &id, new.version(), &fields).unwrap();
        api.store.put(account, id.clone(), new, record, Condition::Always).await.unwrap();
        id
    }

    #[actix_web::test]
    async fn a_large_customer_waits_for_room_and_a_small_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (api, acme, other) =
            (Api::of_test(&folder).await, "acme".parse().unwrap(), "other".parse().unwrap());
        let small = put(&api, &acme, "small", 100).await;
        let large = put(&api, &acme, "large", CONNECTION_BYTES_MAX).await;
        let held = api.answers.reserve(&acme, ANSWERS_BYTES_MAX / 2).await.unwrap();
        assert!(api.find(&acme, Kind::Customer, &small).await.unwrap().unwrap().1.is_none());
        let mut waiting = pin!(api.find(&acme, Kind::Customer, &large));
        for _ in 0..100 {
            assert!(poll!(&mut waiting).is_pending());
            yield_now().await;
        }
        assert!(api.room_for_list(&other).await.is_ok(), "another account has room");
        drop(held);
        let (customer, room) = waiting.await.unwrap().unwrap();
        assert!(customer.record.bytes.len() > CONNECTION_BYTES_MAX && room.is_some());
        assert!(api.find(&acme, Kind::Customer, &"nobody".parse().unwrap()).await.unwrap().is_none());
    }

    #[actix_web::test]
    async fn the_room_of_a_list_is_that_of_its_answer_until_the_client_has_taken_it() {
        let folder = tempfile::tempdir().unwrap();
        let (api, acme) = (Api::of_test(&folder).await, "acme".parse().unwrap());
        let room = api.room_for_list(&acme).await.unwrap();
        assert!(api.answers.used() > PAGE_BYTES_MAX);
        let answer = room.keep(vec![0; 1_000_000].into()).unwrap();
        assert_eq!(api.answers.used(), 1_000_000);
        drop(answer);
        assert_eq!(api.answers.used(), 0);
    }
}
