//! A copy of all customers, made from the feed and single reads alone, through all replicas in turn.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::rt::{self, task::JoinHandle, time::sleep};
use serde_json::Value;

use crate::{calls::content, checker::Content, load::Load, lookup, options::Options};

/// How long a token may be refused: a host that was replaced may answer for a while, and does not know the newest events.
const GONE_MAX: Duration = Duration::from_secs(20);

/// How long to wait before a request is sent again.
const AGAIN: Duration = Duration::from_millis(200);

/// Longer than any acknowledgement takes.
const ACKNOWLEDGED: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(crate) struct Follower {
    replicas: Vec<usize>,
    begins_anew: bool,
    /// Where it began; `None` for the oldest event.
    first: RefCell<Option<String>>,
    /// What was acknowledged before, and so may have no event after that.
    tags_before: RefCell<HashSet<String>>,
    events: RefCell<Vec<Value>>,
    copy: RefCell<BTreeMap<String, Content>>,
    token: RefCell<Option<String>>,
    turn: Cell<usize>,
}

/// Starts to follow, unless no replica has a history.
pub(crate) fn start(load: &Rc<Load>, follower: &Rc<Follower>) -> Vec<JoinHandle<()>> {
    let (load, follower) = (Rc::clone(load), Rc::clone(follower));
    let follow = async move {
        while !load.is_stopped() && !follower.replicas.is_empty() {
            follower.read(&load, 1).await;
        }
    };
    vec![rt::spawn(follow)]
}

impl Follower {
    pub(crate) fn new(options: &Options) -> Self {
        Self { replicas: options.with_history(), begins_anew: options.begin_anew, ..Self::default() }
    }

    /// Takes the place after the newest event, and then all customers.
    pub(crate) async fn begin_anew(&self, load: &Load) {
        let page = self.get(load, "/events?From=Newest").await.unwrap_or_default();
        let token = page["PageToken"].as_str().map(str::to_owned);
        self.first.replace(token.clone());
        self.token.replace(token);
        self.copy.replace(lookup::all(load, &load.replicas[self.replicas[0]]).await);
        // What was written before the page was read is acknowledged by now.
        sleep(ACKNOWLEDGED).await;
        self.tags_before.replace(load.tags().into_iter().collect());
    }

    pub(crate) fn len(&self) -> usize {
        self.events.borrow().len()
    }

    /// Reads a page, and each customer that it names. False if it was empty.
    async fn read(&self, load: &Load, wait: u32) -> bool {
        let start = page_token(self.token.borrow().as_deref());
        let Some(page) = self.get(load, &format!("/events?PageSize=50&Wait={wait}{start}")).await else {
            return true;
        };
        self.token.replace(page["PageToken"].as_str().map(str::to_owned));
        let events = page["Items"].as_array().cloned().unwrap_or_default();
        let ids: HashSet<String> =
            events.iter().filter_map(|event| event["CustomerID"].as_str()).map(str::to_owned).collect();
        for id in ids {
            match self.get(load, &format!("/customers/{id}")).await {
                Some(customer) => drop(self.copy.borrow_mut().insert(id, content(&customer))),
                None => drop(self.copy.borrow_mut().remove(&id)),
            }
        }
        let is_empty = events.is_empty();
        self.events.borrow_mut().extend(events);
        !is_empty
    }

    /// A body, from one replica after the other until there is one; `None` for 404.
    async fn get(&self, load: &Load, target: &str) -> Option<Value> {
        let began = Instant::now();
        loop {
            let turn = self.turn.replace(self.turn.get() + 1);
            let replica = &load.replicas[self.replicas[turn % self.replicas.len()]];
            match load.send(&load.signed("GET", target.to_owned(), None, String::new()), replica).await {
                Some(answer) if answer.status == 200 => return Some(answer.json()),
                Some(answer) if answer.status == 404 => return None,
                Some(answer) if answer.status == 410 && began.elapsed() < GONE_MAX => {}
                Some(answer) => {
                    load.fault(format!("{target} gets {}", answer.status));
                    return None;
                }
                None => {}
            }
            sleep(AGAIN).await;
        }
    }

    /// Follows to the end. Returns what differs from the list, from what was acknowledged, or from a second reading.
    pub(crate) async fn differences(&self, load: &Load) -> Vec<String> {
        if self.replicas.is_empty() {
            return Vec::new();
        }
        while self.read(load, 3).await {}
        let (mut found, copy) = (Vec::new(), self.copy.borrow().clone());
        let listed = lookup::all(load, &load.replicas[self.replicas[0]]).await;
        for id in copy.keys().chain(listed.keys()).collect::<HashSet<_>>() {
            if copy.get(id) != listed.get(id) {
                found.push(format!("{id}: the copy has {:?}, the list {:?}", copy.get(id), listed.get(id)));
            }
        }
        found.extend(self.broken_chains());
        let versions: HashSet<String> = self.members("Version").into_iter().collect();
        if versions.len() != self.members("Version").len() {
            found.push("a version has two events".to_owned());
        }
        found.extend(
            load.tags()
                .into_iter()
                .filter(|tag| !versions.contains(tag) && !self.tags_before.borrow().contains(tag))
                .map(|tag| format!("{tag} has no event")),
        );
        if self.read_again(load).await != *self.events.borrow() {
            found.push("who reads again reads something else".to_owned());
        }
        found
    }

    fn broken_chains(&self) -> Vec<String> {
        let (mut versions, mut broken) = (BTreeMap::<String, Value>::new(), Vec::new());
        for event in &*self.events.borrow() {
            let id = event["CustomerID"].as_str().unwrap_or_default().to_owned();
            let before = versions.insert(id.clone(), event["Version"].clone());
            if before.is_none() && self.begins_anew {
                continue;
            }
            let before = before.unwrap_or_default();
            if event["Previous"] != before {
                broken.push(format!("{id}: {event} does not follow {before}"));
            }
        }
        broken
    }

    fn members(&self, name: &str) -> Vec<String> {
        self.events.borrow().iter().filter_map(|event| event[name].as_str()).map(str::to_owned).collect()
    }

    async fn read_again(&self, load: &Load) -> Vec<Value> {
        let (mut events, mut start) = (Vec::new(), page_token(self.first.borrow().as_deref()));
        loop {
            let page = self.get(load, &format!("/events?PageSize=100{start}")).await.unwrap_or_default();
            let items = page["Items"].as_array().cloned().unwrap_or_default();
            if items.is_empty() {
                return events;
            }
            events.extend(items);
            start = page_token(page["PageToken"].as_str());
        }
    }
}

fn page_token(token: Option<&str>) -> String {
    token.map(|token| format!("&PageToken={token}")).unwrap_or_default()
}
