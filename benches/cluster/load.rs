//! What all clients share: the replicas, a key, a clock that counts, and what they were told.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use actix_web::rt::time::sleep;
use customers_api::{
    clock,
    signature::{Facts, PrivateKey, sign},
};

use crate::{
    calls::{content, customer},
    checker::{Call, Content, Reply, When},
    options::Options,
    replica::Replica,
    support::{self, Answer},
};

/// How long a client waits before it sends a request again.
const AGAIN: Duration = Duration::from_millis(200);

/// How often a client sends a request again after the load ended.
const LAST_ATTEMPTS: u32 = 150;

/// A request that can be sent again.
pub(crate) struct Signed {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) condition: Option<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) token: String,
}

pub(crate) struct Load {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) pause: Duration,
    /// How many answers there were, by method and status.
    pub(crate) answers: RefCell<BTreeMap<String, u64>>,
    /// What the contract does not document, or this load does not expect.
    pub(crate) faults: RefCell<Vec<String>>,
    key: PrivateKey,
    key_id: String,
    time: Cell<u64>,
    contents: Cell<Content>,
    tags: RefCell<HashMap<Content, String>>,
    stopped: Cell<bool>,
}

/// What a client asks of a customer.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) customer_id: String,
    pub(crate) call: Call,
}

impl Load {
    pub(crate) fn new(options: &Options) -> Self {
        let key = PrivateKey::from_pem(&std::fs::read_to_string(&options.key).unwrap()).unwrap();
        let key_id = key.thumbprint().unwrap();
        Self {
            replicas: options.replicas.iter().map(|(name, address)| Replica::new(name, address)).collect(),
            pause: Duration::from_millis(options.pause_milliseconds),
            answers: RefCell::default(),
            faults: RefCell::default(),
            key,
            key_id,
            time: Cell::default(),
            contents: Cell::default(),
            tags: RefCell::default(),
            stopped: Cell::default(),
        }
    }

    /// The next moment of a clock on which no two are equal.
    pub(crate) fn tick(&self) -> u64 {
        self.time.replace(self.time.get() + 1)
    }

    /// A content that nobody put yet.
    pub(crate) fn new_content(&self) -> Content {
        self.contents.replace(self.contents.get() + 1)
    }

    pub(crate) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    pub(crate) fn fault(&self, fault: String) {
        self.faults.borrow_mut().push(fault);
    }

    /// Waits until a replica takes the key, and a write.
    pub(crate) async fn until_it_writes(&self, replica: &Replica) {
        let warm_up = Request { customer_id: format!("w-{}", replica.name), call: Call::Delete(None) };
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let answer = replica.send(&self.sign(&warm_up)).await;
            let status = answer.map(|answer| answer.status.as_u16());
            if matches!(status, Some(204 | 404)) {
                return;
            }
            assert!(Instant::now() < deadline, "{} writes in time, but answers {status:?}", replica.name);
            sleep(AGAIN).await;
        }
    }

    /// Sends a request until its outcome is known, first to this replica, then to those that follow it in the list; the
    /// signature stays the same, so that it is carried out once. `None` if `gives_up` says so first.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        replicas: &[usize],
        gives_up: impl FnMut() -> bool,
    ) -> Option<Reply> {
        self.ask_signed(request, &self.sign(request), replicas, gives_up).await
    }

    /// The same, for a request that may have been sent before.
    pub(crate) async fn ask_signed(
        &self,
        request: &Request,
        signed: &Signed,
        replicas: &[usize],
        mut gives_up: impl FnMut() -> bool,
    ) -> Option<Reply> {
        let mut last_attempts = 0;
        for &index in replicas.iter().cycle() {
            if let Some(reply) = self.ask_once(request, signed, &self.replicas[index]).await {
                return Some(reply);
            }
            last_attempts += u32::from(self.is_stopped());
            if last_attempts > LAST_ATTEMPTS || gives_up() {
                break;
            }
            sleep(AGAIN).await;
        }
        None
    }

    async fn ask_once(&self, request: &Request, signed: &Signed, replica: &Replica) -> Option<Reply> {
        let answer = self.send(signed, replica).await?;
        let told = self.reply(request.call, &answer);
        if told.is_some() && !matches!(request.call, Call::Get) {
            replica.acknowledged.borrow_mut().push(Instant::now());
        }
        told
    }

    /// Sends a request, counts its answer and holds it against the contract. `None` if there is none, or a 503.
    pub(crate) async fn send(&self, signed: &Signed, replica: &Replica) -> Option<Answer> {
        let answer = replica.send(signed).await;
        let status = answer.as_ref().map_or("broken".to_owned(), |answer| answer.status.as_u16().to_string());
        *self.answers.borrow_mut().entry(format!("{} {status}", signed.method)).or_default() += 1;
        let answer = answer?;
        let path = signed.target.split('?').next().unwrap();
        if let Err(fault) = support::check(signed.method, path, &answer) {
            self.fault(format!("{}: {} {}: {fault}", replica.name, signed.method, signed.target));
        }
        (answer.status != 503).then_some(answer)
    }

    fn reply(&self, call: Call, answer: &Answer) -> Option<Reply> {
        let tag = answer.headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        match (call, answer.status.as_u16(), tag) {
            (Call::Get, 200, Some(tag)) => {
                let content = content(&answer.json());
                self.learn(content, &tag);
                Some(Reply::Found(content))
            }
            (Call::Put(content, _), status @ (201 | 204), Some(tag)) => {
                self.learn(content, &tag);
                Some(if status == 201 { Reply::Created } else { Reply::Updated })
            }
            (Call::Delete(_), 204, _) => Some(Reply::Deleted),
            (Call::Get | Call::Delete(_), 404, _) => Some(Reply::NotFound),
            (Call::Put(..) | Call::Delete(_), 412, _) => Some(Reply::ConditionFailed),
            (call, status, _) => {
                let body = String::from_utf8_lossy(&answer.body);
                self.fault(format!("{call:?} gets {status}: {body}"));
                None
            }
        }
    }

    /// A content is put at most once, so it has one entity tag.
    fn learn(&self, content: Content, tag: &str) {
        let known = self.tags.borrow_mut().entry(content).or_insert_with(|| tag.to_owned()).clone();
        if known != tag {
            self.fault(format!("the content {content} has two entity tags, {known} and {tag}"));
        }
    }

    /// The versions that clients know.
    pub(crate) fn tags(&self) -> Vec<String> {
        self.tags.borrow().values().map(|tag| tag.trim_matches('"').to_owned()).collect()
    }

    pub(crate) fn sign(&self, request: &Request) -> Signed {
        let Request { customer_id, call } = request;
        let holds = |content: &Content| ("if-match", self.tags.borrow()[content].clone());
        let (method, condition, body) = match call {
            Call::Get => ("GET", None, String::new()),
            Call::Delete(held) => ("DELETE", held.as_ref().map(holds), String::new()),
            Call::Put(content, when) => {
                let condition = match when {
                    When::Always => None,
                    When::Absent => Some(("if-none-match", "*".to_owned())),
                    When::Present => Some(("if-match", "*".to_owned())),
                    When::Holds(held) => Some(holds(held)),
                };
                ("PUT", condition, customer(*content).to_string())
            }
        };
        self.signed(method, format!("/customers/{customer_id}"), condition, body)
    }

    pub(crate) fn signed(
        &self,
        method: &'static str,
        target: String,
        condition: Option<(&'static str, String)>,
        body: String,
    ) -> Signed {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let now = clock::now().timestamp();
        let facts = Facts {
            audience: "customers-api",
            now,
            method,
            path,
            base_path: "",
            template: "",
            query,
            body: body.as_bytes(),
        };
        let token = sign(&self.key, Some(&self.key_id), &facts, 300).unwrap();
        Signed { method, target, condition, body, token }
    }
}
