//! One replica of the service, and what its clients saw.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use tokio::time::timeout;

use crate::{
    load::Signed,
    support::{Answer, Client},
};

/// The client waits longer than the service may take.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) longest: Cell<Duration>,
    /// When a write was acknowledged.
    pub(crate) acknowledged: RefCell<Vec<Instant>>,
    address: String,
    client: Client,
}

impl Replica {
    pub(crate) fn new(name: &str, address: &str) -> Self {
        Self {
            name: name.to_owned(),
            longest: Cell::default(),
            acknowledged: RefCell::default(),
            address: address.to_owned(),
            client: Client::new(),
        }
    }

    /// Sends a request; `None` if there was no whole answer.
    pub(crate) async fn send(&self, request: &Signed) -> Option<Answer> {
        let sent = Instant::now();
        let answer = self.answer(request).await;
        self.longest.set(self.longest.get().max(sent.elapsed()));
        answer
    }

    async fn answer(&self, request: &Signed) -> Option<Answer> {
        let Signed { method, target, condition, body, token } = request;
        let url = format!("http://{}{target}", self.address);
        let mut sent = self.client.request(method, url).header("Api-Signature", token);
        if let Some((name, value)) = condition {
            sent = sent.header(name, value);
        }
        if !body.is_empty() {
            sent = sent.header("content-type", "application/json");
        }
        timeout(TIMEOUT, sent.body(body.clone()).try_send()).await.ok()?
    }
}
