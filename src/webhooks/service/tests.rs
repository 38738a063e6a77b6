use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use futures_util::poll;
use tempfile::TempDir;

use super::*;
use crate::{
    clock,
    record::{SealKeys, generate_key_line},
    store::{
        Access, Cursor, EventTypes, HeldCustomer, LEASE_SECONDS, Progress, WebhookChanges, WebhookSecret,
    },
};

/// A database with one endpoint.
struct Place {
    store: Store,
    records: Records,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("customers.db").display());
        let store = Store::open(&url.parse().unwrap(), Access::Create).await.unwrap();
        let records = Records::new(SealKeys::parse(&generate_key_line("k1")).unwrap());
        records.begin(&store).await.unwrap();
        let place = Self { store, records, folder };
        let (sealed_by, secret) = place.records.seal_secret("w-1", &[1; 32]).unwrap();
        let secret = WebhookSecret {
            webhook_id: "w-1".to_owned(),
            secret_id: "s-1".to_owned(),
            created_at: clock::now().timestamp_micros(),
            expires_at: None,
            sealed_by,
            secret,
        };
        let (account, url) = ("acme".parse().unwrap(), "https://203.0.114.1/".to_owned());
        let webhook = Webhook::new("w-1".to_owned(), account, url, EventTypes::ALL, Cursor::START);
        assert!(place.store.add_webhook(&webhook, &secret, 1).await.unwrap());
        place
    }

    fn keeper(&self) -> Keeper {
        let metrics = WebhookMetrics::new().unwrap();
        Keeper::new(self.store.clone(), self.records.clone(), Settings::default(), metrics)
    }

    async fn webhook(&self) -> Webhook {
        self.store.webhooks().await.unwrap().remove(0)
    }

    /// So many seconds are left of the lease.
    fn set_lease(&self, seconds: i64) {
        let path = self.folder.path().join("customers.db");
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let set = format!("UPDATE webhooks SET lease_ends_at = unixepoch() + {seconds}");
        connection.batch_execute(&format!("PRAGMA busy_timeout = 10000; {set}")).unwrap();
    }
}

/// Something under way that does not end by itself.
fn endless(epoch: i64) -> (Running, watch::Receiver<Order>) {
    let (order, told) = watch::channel(Order::Run);
    (Running { epoch, order, task: spawn_local(pending()) }, told)
}

async fn local(test: impl AsyncFnOnce()) {
    LocalSet::new().run_until(Box::pin(test())).await;
}

#[tokio::test]
async fn a_lease_whose_claim_had_no_answer_is_renewed_before_it_is_trusted() {
    local(async || {
        let place = Place::new().await;
        let mut keeper = place.keeper();
        place.store.claim_webhooks(&keeper.holder).await.unwrap();
        place.set_lease(i64::from(MARGIN_SECONDS) + 1);
        keeper.look_after().await.unwrap();
        let webhook = place.webhook().await;
        assert_eq!((webhook.epoch, keeper.running.len()), (1, 1), "it is claimed already");
        assert!(webhook.lease_seconds > RENEWAL_SECONDS, "{}", webhook.lease_seconds);
        assert!(keeper.sender.unwrap().has_lease());
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_trusted_for_less_than_the_database_says() {
    local(async || {
        let (place, read) = (Place::new().await, Instant::now());
        for (lease_seconds, is_trusted) in [(0, false), (MARGIN_SECONDS, false), (LEASE_SECONDS, true)] {
            let mut keeper = place.keeper();
            place.set_lease(-1);
            place.store.claim_webhooks(&keeper.holder).await.unwrap();
            keeper.follow(vec![Webhook { lease_seconds, ..place.webhook().await }], read).await.unwrap();
            assert_eq!(keeper.sender.unwrap().has_lease(), is_trusted, "{lease_seconds}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_processes_over_one_file_do_not_take_an_endpoint_from_each_other() {
    local(async || {
        let place = Place::new().await;
        let (mut first, mut second) = (place.keeper(), place.keeper());
        for _ in 0..2 {
            first.look_after().await.unwrap();
            second.look_after().await.unwrap();
        }
        let webhook = place.webhook().await;
        assert_eq!((webhook.epoch, webhook.holder), (1, Some(first.holder)));
        assert_eq!((first.running.len(), second.running.len()), (1, 0));
        // The last one would last for an hour: the clock was set back after it began.
        for (epoch, seconds) in [(2, -1), (3, 0), (4, 60 * 60)] {
            let mut other = place.keeper();
            place.set_lease(seconds);
            other.look_after().await.unwrap();
            let webhook = place.webhook().await;
            assert_eq!((webhook.epoch, webhook.holder), (epoch, Some(other.holder)), "{seconds}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_ended_by_itself_is_begun_anew_only_after_it_is_read_again() {
    local(async || {
        let place = Place::new().await;
        let mut keeper = place.keeper();
        keeper.look_after().await.unwrap();
        let read_before = place.webhook().await;
        let task = &mut keeper.running.get_mut("w-1").unwrap().task;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        keeper.follow(vec![read_before], Instant::now()).await.unwrap();
        assert!(keeper.running.is_empty());
        keeper.look_after().await.unwrap();
        assert_eq!(keeper.running.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_is_not_begun_with_what_was_read_before_a_replay() {
    local(async || {
        let place = Place::new().await;
        let mut keeper = place.keeper();
        place.store.claim_webhooks(&keeper.holder).await.unwrap();
        let held = HeldCustomer {
            customer_id: "c-1".to_owned().try_into().unwrap(),
            position: 1,
            occurred: 1,
            tries: 1,
            due: i64::MAX,
        };
        let changes = WebhookChanges {
            progress: Progress::starting_at(Cursor::START),
            state: None,
            held: vec![held.clone()],
            freed: Vec::new(),
        };
        assert!(place.store.save_webhook("w-1", 1, changes).await.unwrap());
        let read_before = place.webhook().await;
        assert_eq!(place.store.held_customers(&read_before).await.unwrap(), Some(vec![held]));
        assert!(place.store.replay_webhook("w-1", Cursor::START).await.unwrap());
        assert_eq!(place.store.held_customers(&read_before).await.unwrap(), None);
        keeper.follow(vec![read_before], Instant::now()).await.unwrap();
        assert!(keeper.running.is_empty(), "the customer would not be held back any more");
        keeper.look_after().await.unwrap();
        assert_eq!(keeper.running["w-1"].epoch, 2);
    })
    .await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_database_and_what_finishes_keeps_its_lease() {
    local(async || {
        let place = Place::new().await;
        let (order, orders) = watch::channel(Order::Run);
        let mut keeper = place.keeper();
        place.store.claim_webhooks(&keeper.holder).await.unwrap();
        place.set_lease(1);
        let (running, told) = endless(1);
        (keeper.has_claimed, keeper.running) = (true, HashMap::from([("w-1".to_owned(), running)]));
        let mut run = pin!(keeper.run(orders));
        assert!(poll!(run.as_mut()).is_pending(), "the database is asked");
        order.send_replace(Order::Finish);
        assert!(poll!(run.as_mut()).is_pending(), "a request is under way");
        assert_eq!(*told.borrow(), Order::Finish);
        let renewed = async { while place.webhook().await.lease_seconds <= RENEWAL_SECONDS {} };
        tokio::select! {
            () = &mut run => panic!("a request is under way"),
            () = renewed => {}
        }
        order.send_replace(Order::End);
        assert!(poll!(run.as_mut()).is_pending());
        assert_eq!(*told.borrow(), Order::End);
    })
    .await;
}
