//! What the load found, as JSON.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{follower::Follower, freshness::Freshness, histories::Histories, load::Load, replica::Replica};

pub(crate) struct Summary<'a> {
    pub(crate) load: &'a Load,
    pub(crate) histories: &'a Histories,
    pub(crate) freshness: &'a Freshness,
    pub(crate) follower: &'a Follower,
    pub(crate) differences: Vec<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
}

impl Summary<'_> {
    pub(crate) fn json(&self) -> Value {
        let Self { load, histories, freshness, follower, differences, lost, .. } = self;
        let replicas = load.replicas.iter().map(|replica| {
            let longest = replica.longest.get().as_secs_f64();
            let without_writes = self.without_writes(replica).as_secs_f64();
            (replica.name.clone(), json!({ "longest_answer": longest, "without_writes": without_writes }))
        });
        json!({
            "seconds": (self.ended - self.started).as_secs_f64(),
            "answers": &*load.answers.borrow(),
            "operations": load.answers.borrow().values().sum::<u64>(),
            "histories": histories.len(),
            "history_operations": histories.operations(),
            "repeats": histories.repeats(),
            "unknown": histories.unknown(),
            "without_order": histories.without_order(),
            "events": follower.len(),
            "differences": differences,
            "lost": lost,
            "stale_reads": freshness.stale_reads.get(),
            "stalest": freshness.stalest.get().as_secs_f64(),
            "faults": &*load.faults.borrow(),
            "replicas": replicas.collect::<serde_json::Map<_, _>>(),
        })
    }

    /// The longest time in which a replica acknowledged no write.
    fn without_writes(&self, replica: &Replica) -> Duration {
        let acknowledged = replica.acknowledged.borrow();
        let during = acknowledged.iter().copied().filter(|time| (self.started..self.ended).contains(time));
        let times: Vec<Instant> = [self.started].into_iter().chain(during).chain([self.ended]).collect();
        times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
    }
}
