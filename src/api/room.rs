//! Room for what is read: a turn to read it, and a share of the budget for the answer that is made of it.

use actix_web::web::Bytes;

use super::{
    budget::{CONNECTION_BYTES_MAX, NoRoom, Share},
    error::ApiError,
    settings::BODY_BYTES_MAX,
    state::Api,
    turns::Turn,
};
use crate::{
    account::Account,
    model::CustomerId,
    store::{LookUp, PAGE_BYTES_MAX, StoredCustomer},
};

/// How much larger than their records answers may be, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// The turn of a request to read something large, and room for its answer.
pub(super) struct Room {
    turn: Turn,
    share: Share,
}

impl Room {
    /// Gives the turn to another request. The answer counts until its client has taken it.
    pub(super) fn keep(self, answer: Vec<u8>) -> Result<Bytes, NoRoom> {
        let Self { turn, share } = self;
        drop(turn);
        share.keep(answer.into())
    }
}

impl Api {
    /// Waits for the turn of an account to list, and takes room for the largest page.
    pub(super) async fn room_for_list(&self, account: &Account) -> Result<Room, ApiError> {
        self.room(account, PAGE_BYTES_MAX).await
    }

    /// Reads a customer. A small one fits into what each connection has. A large one is read in turn by account, as lists are,
    /// when there is room for it.
    pub(super) async fn find(
        &self,
        account: &Account,
        id: &CustomerId,
    ) -> Result<Option<(StoredCustomer, Option<Room>)>, ApiError> {
        match self.store.look_up(account, id, CONNECTION_BYTES_MAX).await? {
            LookUp::Nothing => Ok(None),
            LookUp::Customer(customer) => Ok(Some((customer, None))),
            LookUp::TooLarge => {
                let room = self.room(account, BODY_BYTES_MAX).await?;
                let customer = self.store.get(account, id).await?;
                Ok(customer.map(|customer| (customer, Some(room))))
            }
        }
    }

    async fn room(&self, account: &Account, records_bytes: usize) -> Result<Room, ApiError> {
        let turn = self.turns.take(account).await?;
        let share = self.answers.reserve(account, records_bytes + ANSWER_BYTES)?;
        Ok(Room { turn, share })
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin};

    use actix_web::rt::task::yield_now;
    use futures_util::poll;
    use serde_json::json;

    use super::*;
    use crate::{
        api::Settings,
        record::Records,
        store::{Access, Condition, NewVersion, Store},
    };

    async fn api(folder: &tempfile::TempDir) -> Api {
        let url = format!("sqlite:{}", folder.path().join("customers.db").display()).parse().unwrap();
        let store = Store::open(&url, Access::Create).await.unwrap();
        let settings = Settings {
            audience: "customers-api".to_owned(),
            base_path: "/".parse().unwrap(),
            sandbox: false,
        };
        Api::new(settings, store, Records::default()).await.unwrap()
    }

    async fn put(api: &Api, account: &Account, id: &str, letters: usize) -> CustomerId {
        let (id, new): (CustomerId, _) = (id.parse().unwrap(), NewVersion::of(None));
        let fields = json!({ "FullName": "a".repeat(letters) });
        let record = api.records.encode(account, &id, new.version(), &fields).unwrap();
        api.store.put(account, id.clone(), new, record, Condition::Always).await.unwrap();
        id
    }

    async fn waits(work: &mut (impl Future + Unpin)) {
        for _ in 0..100 {
            assert!(poll!(&mut *work).is_pending());
            yield_now().await;
        }
    }

    #[actix_web::test]
    async fn a_large_customer_is_read_in_turn_and_a_small_one_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (api, acme, other) = (api(&folder).await, "acme".parse().unwrap(), "other".parse().unwrap());
        let small = put(&api, &acme, "small", 100).await;
        let large = put(&api, &acme, "large", CONNECTION_BYTES_MAX).await;
        let rooms = [api.room_for_list(&other).await.unwrap(), api.room_for_list(&other).await.unwrap()];
        assert!(api.find(&acme, &small).await.unwrap().unwrap().1.is_none());
        let mut waiting = pin!(api.find(&acme, &large));
        waits(&mut waiting).await;
        drop(rooms);
        let (customer, room) = waiting.await.unwrap().unwrap();
        assert!(customer.record.bytes.len() > CONNECTION_BYTES_MAX && room.is_some());
        assert!(api.find(&acme, &"nobody".parse().unwrap()).await.unwrap().is_none());
    }

    #[actix_web::test]
    async fn what_a_list_may_occupy_is_left_to_its_answer_until_the_client_has_taken_it() {
        let folder = tempfile::tempdir().unwrap();
        let (api, acme) = (api(&folder).await, "acme".parse().unwrap());
        let room = api.room_for_list(&acme).await.unwrap();
        assert!(api.answers.used() > PAGE_BYTES_MAX);
        let answer = room.keep(vec![0; 1_000_000]).unwrap();
        assert!((900_000..=1_000_000).contains(&api.answers.used()), "{}", api.answers.used());
        let (held, others) =
            (api.room_for_list(&acme).await.unwrap(), api.room_for_list(&acme).await.unwrap());
        assert!(api.find(&acme, &"c-1".parse().unwrap()).await.unwrap().is_none(), "what needs no room");
        drop((answer, held, others));
        assert_eq!(api.answers.used(), 0);
    }
}
