//! The open connections of all workers, and which of them gives way to a new one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{account::Account, api::caller::Caller, lock::lock};

/// How long a connection may wait for its client, if others do longer, before it gives way. A new connection waits as long
/// for one that does. So those that are served now and then keep their places. Room is made as often at most.
const GRACE: Duration = Duration::from_millis(250);

/// All open connections. Clones share them.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    max: usize,
    begun: Instant,
    places: Mutex<Places>,
    /// A connection was closed, or waits for its client from now on.
    changed: Notify,
    /// When room was made last, in microseconds since the service began.
    made_room: AtomicU64,
}

#[derive(Default)]
struct Places {
    open: HashMap<u64, Arc<Place>>,
    next_id: u64,
    is_full: bool,
}

struct Place {
    /// In microseconds since the service began; [`SERVING`] while the server has something to do, [`GONE`] when the
    /// connection had to give way.
    waiting_since: AtomicU64,
    given_way: Notify,
    caller: Caller,
}

const SERVING: u64 = u64::MAX;

const GONE: u64 = u64::MAX - 1;

/// A connection that is open until this is dropped.
pub(super) struct Open {
    connections: Connections,
    id: u64,
    place: Arc<Place>,
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        let (begun, places) = (Instant::now(), Mutex::default());
        Self(Arc::new(Shared { max, begun, places, changed: Notify::new(), made_room: AtomicU64::new(0) }))
    }

    /// Takes a place for a new connection. If there is none, the connection that has waited longest for its client gives way.
    /// If all are being served, this waits, and calls `make_room` after a while.
    pub(super) async fn open(&self, make_room: impl Fn()) -> Open {
        let end_of_grace = Instant::now() + GRACE;
        loop {
            let changed = self.0.changed.notified();
            let in_grace = Instant::now() < end_of_grace;
            if let Some(open) = self.try_open(if in_grace { GRACE } else { Duration::ZERO }) {
                // There may be a place for the next one, too.
                self.0.changed.notify_one();
                return open;
            }
            if !in_grace && self.may_make_room() {
                make_room();
            }
            let again = if in_grace { end_of_grace } else { Instant::now() + GRACE };
            tokio::select! {
                () = changed => {}
                () = sleep_until(again) => {}
            }
        }
    }

    /// Whether room was not made just now.
    fn may_make_room(&self) -> bool {
        let now = self.now();
        let is_due = |last: u64| (now >= last.saturating_add(micros(GRACE))).then_some(now);
        self.0.made_room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok()
    }

    /// Takes a place that is free, or that of a connection that has waited for so long. An account whose connections are not the
    /// most loses none that was served just now.
    fn try_open(&self, waited: Duration) -> Option<Open> {
        let mut places = lock(&self.0.places);
        if places.open.len() >= self.0.max {
            places.note_full(self.0.max);
            let (since, id) = places.next_to_give_way(self.now(), micros(waited))?;
            let place = Arc::clone(places.open.get(&id)?);
            // It may be about to be served.
            place.waiting_since.compare_exchange(since, GONE, Ordering::Relaxed, Ordering::Relaxed).ok()?;
            place.given_way.notify_one();
            places.open.remove(&id);
        }
        let id = places.next_id;
        places.next_id += 1;
        let (waiting_since, given_way, caller) =
            (AtomicU64::new(self.now()), Notify::new(), Caller::default());
        let place = Place { waiting_since, given_way, caller };
        let place = Arc::new(place);
        places.open.insert(id, Arc::clone(&place));
        Some(Open { connections: self.clone(), id, place })
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.0.places).open.len()
    }

    fn now(&self) -> u64 {
        micros(self.0.begun.elapsed())
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(GONE - 1)
}

impl Places {
    /// Since when the connection waits, and its id. Of those that have waited for so long, and are not of the account with the
    /// most connections, those must have waited for [`GRACE`].
    fn next_to_give_way(&self, now: u64, waited: u64) -> Option<(u64, u64)> {
        let mut sizes: HashMap<Option<&Account>, usize> = HashMap::new();
        for place in self.open.values() {
            *sizes.entry(place.caller.account()).or_default() += 1;
        }
        let largest = sizes.values().max().copied()?;
        let waiting = self.open.iter().filter_map(|(id, place)| {
            let since = place.waiting_since.load(Ordering::Relaxed);
            let is_largest = sizes.get(&place.caller.account()) == Some(&largest);
            let waited = if is_largest { waited } else { micros(GRACE) };
            (since < GONE && now >= since.saturating_add(waited)).then_some((!is_largest, since, *id))
        });
        waiting.min().map(|(_, since, id)| (since, id))
    }

    /// The first connection that finds no free place is logged.
    fn note_full(&mut self, max: usize) {
        if !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!(
                max,
                "all connections are in use: those that wait for their clients give way to new ones"
            );
        }
    }
}

impl Open {
    /// The server has something to do from now on. False if the connection had to give way.
    pub(super) fn is_served(&self) -> bool {
        let serve = |since: u64| (since != GONE).then_some(SERVING);
        self.place.waiting_since.fetch_update(Ordering::Relaxed, Ordering::Relaxed, serve).is_ok()
    }

    /// Who has the connection.
    pub(super) fn caller(&self) -> Caller {
        self.place.caller.clone()
    }

    /// Now, in microseconds since the service began.
    pub(super) fn now(&self) -> u64 {
        self.connections.now()
    }

    /// The client has to send or to take something, and has had to since then.
    pub(super) fn waits(&self, since: u64) {
        let wait = |before: u64| (before != GONE).then_some(since);
        let _ = self.place.waiting_since.fetch_update(Ordering::Relaxed, Ordering::Relaxed, wait);
        self.connections.0.changed.notify_one();
    }

    /// Waits until the connection has to give way to another.
    pub(super) async fn given_way(&self) {
        self.place.given_way.notified().await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut places = lock(&self.connections.0.places);
        places.open.remove(&self.id);
        // Not at the limit itself, so that a connection that comes and goes there is not logged each time.
        if places.open.len() <= self.connections.0.max / 2 {
            places.is_full = false;
        }
        drop(places);
        self.connections.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt as _, poll};

    use super::*;

    fn open(connections: &Connections) -> Option<Open> {
        connections.try_open(Duration::ZERO)
    }

    fn has_given_way(open: &Open) -> bool {
        open.given_way().now_or_never().is_some()
    }

    #[test]
    fn the_connection_that_has_waited_longest_gives_way() {
        let connections = Connections::new(3);
        let [first, second, third] = [(); 3].map(|()| open(&connections).unwrap());
        for (place, since) in [(&first, 1), (&second, 0), (&third, 2)] {
            place.place.waiting_since.store(since, Ordering::Relaxed);
        }
        let fourth = open(&connections).unwrap();
        assert!(!has_given_way(&first) && has_given_way(&second) && !has_given_way(&third));
        assert!(!second.is_served(), "a request that comes too late is not served");
        assert!(first.is_served() && third.is_served() && fourth.is_served());
        assert_eq!(connections.count(), 3);
        drop(second);
        assert_eq!(connections.count(), 3, "its place was taken");
    }

    #[test]
    fn a_connection_of_another_account_keeps_its_place_if_it_was_served_just_now() {
        let connections = Connections::new(4);
        let places = [(); 4].map(|()| open(&connections).unwrap());
        for (place, account) in places.iter().zip(["most", "other", "most", "most"]) {
            assert!(place.is_served());
            place.caller().note(&account.parse().unwrap());
        }
        let [first, other, third, _fourth] = places;
        other.waits(other.now());
        assert!(open(&connections).is_none(), "of the account with the most, none waits for its client");
        first.waits(first.now());
        let _new = open(&connections).unwrap();
        assert!(has_given_way(&first) && !has_given_way(&other) && !has_given_way(&third));
        other.waits(0);
        assert_eq!(
            lock(&connections.0.places).next_to_give_way(micros(GRACE), 0),
            Some((0, other.id)),
            "in the end it does"
        );
    }

    #[tokio::test]
    async fn room_is_made_when_all_are_served_and_not_again_at_once() {
        let connections = Connections::new(1);
        let first = open(&connections).unwrap();
        assert!(first.is_served());
        let asked = std::cell::Cell::new(0);
        let second = connections.open(|| {
            asked.set(asked.get() + 1);
            first.waits(first.now());
        });
        assert!(second.await.is_served() && has_given_way(&first));
        assert_eq!(asked.get(), 1);
        assert!(!connections.may_make_room());
    }

    #[tokio::test]
    async fn none_that_is_served_gives_way_and_the_next_waits() {
        let connections = Connections::new(2);
        let [first, second] = [(); 2].map(|()| open(&connections).unwrap());
        assert!(first.is_served() && second.is_served());
        let mut third = pin!(connections.open(|| {}));
        assert!(poll!(&mut third).is_pending());
        assert!(open(&connections).is_none());
        drop(first);
        assert!(third.now_or_never().is_some(), "a free place");
    }

    #[tokio::test]
    async fn one_that_was_served_just_now_keeps_its_place_for_a_while() {
        let connections = Connections::new(1);
        let first = open(&connections).unwrap();
        assert!(first.is_served());
        first.waits(first.now());
        assert!(connections.try_open(GRACE).is_none());
        let second = connections.open(|| {}).await;
        assert!(has_given_way(&first) && second.is_served());
    }
}
