//! One endpoint: reads its events, sends them as the schedule says, and writes down how far it is.

use std::{future::Future, rc::Rc, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    schedule::{Failed, Next, PAGE_EVENTS, Schedule},
    sender::{Destination, Sender},
};
use crate::{
    clock,
    model::CustomerId,
    store::{FeedStart, HeldCustomer, Store, StoreError, StoredEvent, Webhook},
    telemetry::{Outage, chain},
};

/// How often an endpoint's progress is written down, if there is any. It is a commit; what a process that is killed has not
/// written down is sent again.
const SAVE_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait if the database does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

const STORE_PAUSE_MICROS: i64 = 1_000_000;

/// What an endpoint is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Send.
    Run,
    /// Begin nothing more, and end when what is under way has an answer.
    Finish,
    /// End now.
    End,
}

/// An endpoint that this process sends to.
pub(super) struct Endpoint {
    webhook: Webhook,
    schedule: Schedule,
    sender: Rc<Sender>,
    store: Store,
    outage: Outage,
}

/// What came of something that was under way.
enum Done {
    Sent(CustomerId, Result<(), Failed>),
    LookedUp(CustomerId, Result<LookedUp, StoreError>),
}

/// The next event of a customer that is held back.
enum LookedUp {
    Found(StoredEvent),
    Nothing {
        up_to: i64,
    },
    /// It is not kept any more.
    Pruned,
}

type Running = FuturesUnordered<LocalBoxFuture<'static, Done>>;

/// A page of the feed, or that what comes next is not kept any more.
type Read = Result<Option<Vec<StoredEvent>>, StoreError>;

type Saved = Result<bool, StoreError>;

impl Endpoint {
    pub(super) fn new(webhook: Webhook, held: Vec<HeldCustomer>, sender: Rc<Sender>, store: Store) -> Self {
        let schedule = Schedule::new(webhook.types, sender.steps(), webhook.progress.clone(), held);
        Self { webhook, schedule, sender, store, outage: Outage::new() }
    }

    /// Sends until it is told to end, or the endpoint is paused, or somebody else took it over.
    pub(super) async fn run(mut self, mut order: watch::Receiver<Order>) {
        let target = Rc::new(self.sender.destination(&self.webhook.url));
        let mut running = Running::new();
        let (mut reading, mut saving) = (None, None);
        let mut ticks = interval(SAVE_PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = *order.borrow();
            let may_begin = told == Order::Run && self.schedule.ended().is_none();
            if may_begin {
                self.begin(&target, &mut running);
                if reading.is_none() && self.schedule.wants_more() {
                    reading = Some(self.read().boxed_local());
                }
            } else if told == Order::End {
                break;
            } else if running.is_empty() && saving.is_none() {
                saving = self.begin_to_save();
                if saving.is_none() {
                    break;
                }
            }
            let due = self.until_due().filter(|_| may_begin).map(sleep);
            tokio::select! {
                Some(done) = running.next() => if let Some(event) = self.take(done, *order.borrow()) {
                    running.push(self.send(event, &target));
                },
                Some(read) = OptionFuture::from(reading.as_mut()) => {
                    reading = None;
                    self.take_events(read);
                }
                Some(saved) = OptionFuture::from(saving.as_mut()) => {
                    saving = None;
                    if !self.take_saved(saved) {
                        return;
                    }
                }
                _ = ticks.tick(), if self.schedule.is_busy() => {
                    self.schedule.give_way(now());
                    self.sender.note_oldest(&self.webhook.id, self.schedule.oldest_unsent());
                    if saving.is_none() {
                        saving = self.begin_to_save();
                    }
                }
                Some(()) = OptionFuture::from(due) => {}
                told = order.changed() => if told.is_err() {
                    return;
                },
            }
        }
        self.end().await;
    }

    /// Begins what may begin now.
    fn begin(&mut self, target: &Rc<Destination>, running: &mut Running) {
        while self.sender.has_lease()
            && let Some(next) = self.schedule.next(now())
        {
            running.push(match next {
                Next::Event(event) => self.send(event, target),
                Next::Held(customer_id, from) => self.look_up(customer_id, from),
            });
        }
    }

    fn send(&self, event: StoredEvent, target: &Rc<Destination>) -> LocalBoxFuture<'static, Done> {
        let (sender, target, webhook_id) =
            (Rc::clone(&self.sender), Rc::clone(target), self.webhook.id.clone());
        let send = async move {
            let customer_id = event.customer_id.clone();
            Done::Sent(customer_id, sender.send(&webhook_id, &target, event).await)
        };
        send.boxed_local()
    }

    /// Looks for the next event of a customer that is held back.
    fn look_up(&self, customer_id: CustomerId, from: i64) -> LocalBoxFuture<'static, Done> {
        let (store, webhook) = (self.store.clone(), self.webhook.clone());
        let up_to = self.schedule.read_to().position;
        let look = async move {
            let found = held_event(&store, &webhook, &customer_id, from, up_to).await;
            Done::LookedUp(customer_id, found)
        };
        look.boxed_local()
    }

    /// Reads what follows, and waits until there is something.
    fn read(&self) -> impl Future<Output = Read> + use<> {
        let (store, account, cursor) =
            (self.store.clone(), self.webhook.account.clone(), self.schedule.read_to());
        async move {
            loop {
                let page = store.events(&account, None, FeedStart::After(cursor), PAGE_EVENTS).await;
                match page.map(|page| page.map(|page| page.events)) {
                    Ok(Some(events)) if events.is_empty() => {
                        store.event_after(&account, cursor.position).await;
                    }
                    Ok(events) => return Ok(events),
                    Err(error) => {
                        sleep(STORE_PAUSE).await;
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Begins to write down how far it is, if it is not.
    fn begin_to_save(&mut self) -> Option<LocalBoxFuture<'static, Saved>> {
        let changes = self.schedule.take_changes()?;
        let (store, webhook_id, epoch) = (self.store.clone(), self.webhook.id.clone(), self.webhook.epoch);
        let save = async move {
            let saved = store.save_webhook(&webhook_id, epoch, changes).await;
            if saved.is_err() {
                sleep(STORE_PAUSE).await;
            }
            saved
        };
        Some(save.boxed_local())
    }

    /// Takes what came of something. Returns the event that is to be sent now, if it is one that was looked for.
    fn take(&mut self, done: Done, told: Order) -> Option<StoredEvent> {
        match done {
            Done::Sent(customer_id, Ok(())) => self.schedule.succeeded(&customer_id, now()),
            Done::Sent(customer_id, Err(failed)) => self.schedule.failed(&customer_id, failed, now()),
            Done::LookedUp(customer_id, Ok(LookedUp::Found(_)))
                if told != Order::Run || !self.sender.has_lease() =>
            {
                self.schedule.put_off(&customer_id, now());
            }
            Done::LookedUp(_, Ok(LookedUp::Found(event))) => {
                return self.schedule.found(&event, now()).then_some(event);
            }
            Done::LookedUp(customer_id, Ok(LookedUp::Nothing { up_to })) => {
                self.schedule.found_nothing(&customer_id, up_to, now());
            }
            Done::LookedUp(_, Ok(LookedUp::Pruned)) => self.schedule.lost(),
            Done::LookedUp(customer_id, Err(_)) => {
                self.schedule.put_off(&customer_id, now() + STORE_PAUSE_MICROS);
            }
        }
        None
    }

    fn take_events(&mut self, read: Read) {
        match read {
            Ok(Some(events)) => {
                self.outage.end("the events of a webhook can be read and noted again");
                self.schedule.read(events);
            }
            Ok(None) => self.schedule.lost(),
            Err(error) => self.note_outage(&error),
        }
    }

    /// Returns false if the endpoint is somebody else's now, or was started anew.
    fn take_saved(&mut self, saved: Saved) -> bool {
        match saved {
            Ok(is_ours) => {
                self.outage.end("the events of a webhook can be read and noted again");
                self.schedule.noted();
                is_ours
            }
            Err(error) => {
                self.note_outage(&error);
                true
            }
        }
    }

    /// How long nothing can begin, if nothing else happens.
    fn until_due(&self) -> Option<Duration> {
        let wait = self.schedule.next_due()?.checked_sub(now()).filter(|wait| *wait > 0)?;
        u64::try_from(wait).ok().map(Duration::from_micros)
    }

    /// Writes down how far it is, if it was cut off before, and says why it ends.
    async fn end(mut self) {
        if let Some(save) = self.begin_to_save()
            && let Err(error) = save.await
        {
            self.note_outage(&error);
        }
        if let Some(state) = self.schedule.ended() {
            tracing::warn!(
                webhook = self.webhook.id,
                state = state.as_str(),
                "a webhook gets no more events"
            );
        }
    }

    fn note_outage(&self, error: &StoreError) {
        self.outage.go_on(&chain(error), "the events of a webhook cannot be read or noted");
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.sender.note_oldest(&self.webhook.id, None);
    }
}

/// The first event that an endpoint is sent of a customer, from a position on.
async fn held_event(
    store: &Store,
    webhook: &Webhook,
    customer_id: &CustomerId,
    from: i64,
    read_to: i64,
) -> Result<LookedUp, StoreError> {
    let (account, id) = (webhook.account.as_str(), customer_id.as_str());
    let rows = store.scan_events((account.to_owned(), id.to_owned(), from - 1), PAGE_EVENTS).await?;
    // After the look-up: what is pruned meanwhile was found.
    let oldest = store.events(&webhook.account, None, FeedStart::Oldest, 1).await?;
    let first_kept = oldest.and_then(|page| page.events.first().map(|event| event.position));
    if first_kept.is_none_or(|first| first > from) {
        return Ok(LookedUp::Pruned);
    }
    let is_whole = rows.len() == PAGE_EVENTS as usize;
    let mut last = read_to;
    for row in rows {
        if (row.account.as_str(), row.customer_id.as_str()) != (account, id) {
            return Ok(LookedUp::Nothing { up_to: read_to });
        }
        let event = row.event.map_err(|reason| StoreError::Failed(reason.into()))?;
        if webhook.types.contains(event.event.event_type) {
            return Ok(LookedUp::Found(event));
        }
        last = event.position;
    }
    Ok(LookedUp::Nothing { up_to: if is_whole { last } else { read_to } })
}

fn now() -> i64 {
    clock::now().timestamp_micros()
}

#[cfg(test)]
mod tests;
