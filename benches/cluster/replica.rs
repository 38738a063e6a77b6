//! One replica of the service, and what its clients saw.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use awc::Client;

use crate::{load::Signed, support::Answer};

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
            client: Client::builder().timeout(TIMEOUT).disable_redirects().finish(),
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
        let mut sent = self.client.request(method.parse().unwrap(), url);
        sent = sent.insert_header(("Api-Signature", token.as_str()));
        if let Some((name, value)) = condition {
            sent = sent.insert_header((*name, value.as_str()));
        }
        if !body.is_empty() {
            sent = sent.insert_header(("content-type", "application/json"));
        }
        let mut response = sent.send_body(body.clone()).await.ok()?;
        let body = response.body().limit(64 * 1024 * 1024).await.ok()?.to_vec();
        Some(Answer { status: response.status(), headers: response.headers().clone(), body })
    }
}
