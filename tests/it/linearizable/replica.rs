//! Where clients send their operations: to a store in this process, or to a process that is killed and started again.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use actix_web::rt::task::spawn_blocking;
use customers_api::{
    account::Account,
    model::CustomerInput,
    store::{Condition, DeleteOutcome, NewVersion, PutOutcome, Record, Store, StoreError, Version},
};

use super::{
    calls::{content, customer},
    checker::{Call, Content, Reply, When},
    history::{Request, Tags},
};
use crate::support::{Answer, Client, ClientRequest, Service, eventually, proof};

/// One of the places that serve the same customers.
pub(super) enum Replica {
    Store(Store),
    Process(Process),
}

impl Replica {
    /// Carries out a request. `None` if nobody knows whether it was carried out.
    pub(super) async fn send(&self, request: &Request, tags: &RefCell<Tags>) -> Option<Reply> {
        match self {
            Self::Store(store) => ask_store(store, request, tags).await,
            Self::Process(process) => process.ask(request, tags).await,
        }
    }

    /// Waits until it can serve.
    pub(super) async fn until_ready(&self) {
        match self {
            Self::Store(store) => eventually("it is ready", async || store.check().await.is_ok()).await,
            Self::Process(process) => eventually("it is ready", async || process.is_ready().await).await,
        }
    }
}

/// What a record or an answer was put with.
fn content_of(json: &[u8]) -> Content {
    content(&serde_json::from_slice(json).unwrap())
}

async fn ask_store(store: &Store, request: &Request, tags: &RefCell<Tags>) -> Option<Reply> {
    let Request { customer_id, call, signature, .. } = request;
    let (call, signature) = (*call, Some(*signature));
    let account: Account = "acme".parse().unwrap();
    let id = customer_id.parse().unwrap();
    let version = |content| -> Vec<Version> { vec![tags.borrow().tag(content).parse().unwrap()] };
    let told = match call {
        Call::Get => store.get(&account, &id).await.map(|found| match found {
            None => Reply::NotFound,
            Some(found) => {
                tags.borrow_mut().found(&found.version.to_string(), content_of(&found.record.bytes))
            }
        }),
        Call::Put(content, when) => {
            let condition = match when {
                When::Always => Condition::Always,
                When::Absent => Condition::Absent,
                When::Present => Condition::Present,
                When::Holds(held) => Condition::OneOf(version(held)),
            };
            let input: CustomerInput = serde_json::from_value(customer(content)).unwrap();
            let record = Record { bytes: serde_json::to_vec(&input).unwrap(), sealed_by: None };
            store.put(&account, id, NewVersion::of(signature.map(proof)), record, condition).await.map(
                |outcome| match outcome {
                    PutOutcome::Created(version) => {
                        tags.borrow_mut().put(&version.to_string(), content, Reply::Created)
                    }
                    PutOutcome::Updated(version) => {
                        tags.borrow_mut().put(&version.to_string(), content, Reply::Updated)
                    }
                    PutOutcome::ConditionFailed => Reply::ConditionFailed,
                },
            )
        }
        Call::Delete(held) => {
            store.delete(&account, id, held.map(version), signature.map(proof)).await.map(|outcome| {
                match outcome {
                    DeleteOutcome::Deleted => Reply::Deleted,
                    DeleteOutcome::NotFound => Reply::NotFound,
                    DeleteOutcome::ConditionFailed => Reply::ConditionFailed,
                }
            })
        }
    };
    match told {
        Ok(reply) => Some(reply),
        Err(StoreError::Busy | StoreError::Unavailable(_)) => None,
        Err(error @ StoreError::Failed(_)) => panic!("{call:?} fails: {error:?}"),
    }
}

/// `customers-api serve`, which can be killed and started again.
pub(super) struct Process {
    database_url: String,
    log: PathBuf,
    client: Client,
    address: RefCell<String>,
    service: RefCell<Option<Service>>,
}

impl Process {
    pub(super) fn start(database_url: &str, log: &Path) -> Self {
        let service = serve(database_url, log);
        Self {
            database_url: database_url.to_owned(),
            log: log.to_owned(),
            client: Client::new(),
            address: RefCell::new(service.address.clone()),
            service: RefCell::new(Some(service)),
        }
    }

    /// Kills it as `kill -9` does, whatever it is doing, and starts it again. Clients go on meanwhile.
    pub(super) async fn kill_and_restart(&self) {
        let killed = self.service.take();
        let (database_url, log) = (self.database_url.clone(), self.log.clone());
        let restart = move || {
            drop(killed);
            serve(&database_url, &log)
        };
        let service = spawn_blocking(restart).await.unwrap();
        self.address.replace(service.address.clone());
        self.service.replace(Some(service));
    }

    async fn is_ready(&self) -> bool {
        let url = format!("http://{}/readyz", self.address.borrow());
        self.client.get(url).try_send().await.is_some_and(|answer| answer.status == 204)
    }

    async fn ask<'a>(&'a self, request: &Request, tags: &RefCell<Tags>) -> Option<Reply> {
        let Request { customer_id, call, token, .. } = request;
        let call = *call;
        let url = format!("http://{}/customers/{customer_id}", self.address.borrow());
        let if_match = |request: ClientRequest<'a>, held: Option<Content>| match held {
            Some(held) => request.header("if-match", format!("\"{}\"", tags.borrow().tag(held))),
            None => request,
        };
        let request = match call {
            Call::Get => self.client.get(url),
            Call::Delete(held) => if_match(self.client.delete(url), held),
            Call::Put(content, when) => {
                let request = self.client.put(url).json(customer(content).to_string());
                match when {
                    When::Always => request,
                    When::Absent => request.header("if-none-match", "*"),
                    When::Present => request.header("if-match", "*"),
                    When::Holds(held) => if_match(request, Some(held)),
                }
            }
        };
        let request = request.header("Api-Signature", token.as_deref().unwrap_or_default());
        let Answer { status, headers, body } = request.try_send().await?;
        let tag = headers.get("etag").map(|tag| tag.to_str().unwrap().trim_matches('"').to_owned());
        let mut tags = tags.borrow_mut();
        match (call, status.as_u16(), tag) {
            (_, 503, _) => None,
            (Call::Get, 200, Some(tag)) => Some(tags.found(&tag, content_of(&body))),
            (Call::Put(content, _), 201, Some(tag)) => Some(tags.put(&tag, content, Reply::Created)),
            (Call::Put(content, _), 204, Some(tag)) => Some(tags.put(&tag, content, Reply::Updated)),
            (Call::Delete(_), 204, None) => Some(Reply::Deleted),
            (Call::Get | Call::Delete(_), 404, _) => Some(Reply::NotFound),
            (Call::Put(..) | Call::Delete(_), 412, _) => Some(Reply::ConditionFailed),
            (call, status, _) => panic!("{call:?} gets {status}: {body:?}"),
        }
    }
}

fn serve(database_url: &str, log: &Path) -> Service {
    Service::start(database_url, log, &[])
}
