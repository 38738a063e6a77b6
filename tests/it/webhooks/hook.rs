//! A receiver of webhooks over HTTP, which answers as a test decides, and remembers the order of everything.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    future::pending,
    rc::Rc,
    time::Duration,
};

use actix_web::rt::{self, time::sleep};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) timestamp: i64,
    pub(super) signature: String,
    pub(super) body: String,
    pub(super) event: Value,
}

impl Delivery {
    pub(super) fn customer(&self) -> &str {
        self.event["CustomerID"].as_str().unwrap()
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    Status(u16),
    /// With these headers.
    With(u16, &'static str),
    /// After a time.
    Late(Duration, u16),
    /// Closes the connection.
    Close,
    Never,
}

/// What happened at the receiver, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Happened {
    Came(String),
    Acknowledged(String),
}

type Decide = Box<dyn FnMut(&Delivery) -> Reply>;

struct Seen {
    decide: RefCell<Decide>,
    deliveries: RefCell<Vec<Delivery>>,
    log: RefCell<Vec<Happened>>,
    active: Cell<usize>,
    active_max: Cell<usize>,
}

/// A receiver on loopback.
#[derive(Clone)]
pub(super) struct Hook {
    pub(super) url: String,
    seen: Rc<Seen>,
}

impl Hook {
    /// Acknowledges everything.
    pub(super) async fn start() -> Self {
        Self::deciding(|_| Reply::Status(204)).await
    }

    pub(super) async fn deciding(decide: impl FnMut(&Delivery) -> Reply + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let seen = Rc::new(Seen {
            decide: RefCell::new(Box::new(decide)),
            deliveries: RefCell::default(),
            log: RefCell::default(),
            active: Cell::default(),
            active_max: Cell::default(),
        });
        let accepting = Rc::clone(&seen);
        rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Rc::clone(&accepting);
                rt::spawn(async move {
                    // Whoever sends may go away at any time.
                    drop(seen.serve(stream).await);
                });
            }
        });
        Self { url, seen }
    }

    /// From now on, it answers like this.
    pub(super) fn decide(&self, decide: impl FnMut(&Delivery) -> Reply + 'static) {
        drop(self.seen.decide.replace(Box::new(decide)));
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.seen.deliveries.borrow().clone()
    }

    pub(super) fn log(&self) -> Vec<Happened> {
        self.seen.log.borrow().clone()
    }

    /// How many requests were there at the same time, at most.
    pub(super) fn active_max(&self) -> usize {
        self.seen.active_max.get()
    }

    /// How many events were acknowledged, each counted once.
    pub(super) fn acknowledged(&self) -> usize {
        let log = self.seen.log.borrow();
        let ids = log.iter().filter_map(|happened| match happened {
            Happened::Acknowledged(id) => Some(id),
            Happened::Came(_) => None,
        });
        ids.collect::<BTreeSet<_>>().len()
    }

    /// Holds what came against the feed: each event was acknowledged, none came before the earlier ones of its customer were
    /// acknowledged, and no two of a customer at a time. Returns how many came again.
    pub(super) fn assert_complete_and_in_order(&self, feed: &[Value]) -> usize {
        let id_of = |event: &Value| event["EventID"].as_str().unwrap().to_owned();
        let mut earlier: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut before: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in feed {
            let of_customer = earlier.entry(event["CustomerID"].as_str().unwrap().to_owned()).or_default();
            before.insert(id_of(event), of_customer.clone());
            of_customer.push(id_of(event));
        }
        let (mut acknowledged, mut came, mut doubles) = (BTreeSet::new(), BTreeSet::new(), 0);
        for happened in self.log() {
            match happened {
                Happened::Came(id) => {
                    let earlier = before.get(&id).unwrap_or_else(|| panic!("{id} is not in the feed"));
                    let missing: Vec<_> = earlier.iter().filter(|id| !acknowledged.contains(*id)).collect();
                    assert!(missing.is_empty(), "{id} overtakes {missing:?}");
                    doubles += usize::from(!came.insert(id));
                }
                Happened::Acknowledged(id) => drop(acknowledged.insert(id)),
            }
        }
        let lost: Vec<_> = before.keys().filter(|id| !acknowledged.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), before.len());
        doubles
    }
}

impl Seen {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let Some(delivery) = request(&mut stream, &mut bytes).await? else { return Ok(()) };
            self.log.borrow_mut().push(Happened::Came(delivery.id.clone()));
            self.deliveries.borrow_mut().push(delivery.clone());
            self.active.set(self.active.get() + 1);
            self.active_max.set(self.active_max.get().max(self.active.get()));
            let reply = (self.decide.borrow_mut())(&delivery);
            let answered = self.answer(&mut stream, reply, &delivery.id).await;
            self.active.set(self.active.get() - 1);
            if !answered? {
                return Ok(());
            }
        }
    }

    async fn answer(&self, stream: &mut TcpStream, reply: Reply, id: &str) -> std::io::Result<bool> {
        let (status, headers) = match reply {
            Reply::Status(status) => (status, ""),
            Reply::With(status, headers) => (status, headers),
            Reply::Late(time, status) => {
                let mut next = [0];
                tokio::select! {
                    () = sleep(time) => {}
                    // Nothing more is sent, so it is the end. Not `readable`: that is so by mistake after a request that
                    // filled the buffer.
                    _ = stream.peek(&mut next) => return Ok(false),
                }
                (status, "")
            }
            Reply::Close => return Ok(false),
            Reply::Never => pending().await,
        };
        if (200..300).contains(&status) {
            // Before it is told: what follows may come at once.
            self.log.borrow_mut().push(Happened::Acknowledged(id.to_owned()));
        }
        let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.map(|()| true)
    }
}

/// The next request on a connection; `None` at its end.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Option<Delivery>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut head = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(length)) = head.parse(bytes) {
            let header = |name: &str| {
                let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                str::from_utf8(found.unwrap_or_else(|| panic!("{name} is there")).value).unwrap().to_owned()
            };
            let end = length + header("content-length").parse::<usize>().unwrap();
            if bytes.len() >= end {
                let body = str::from_utf8(&bytes[length..end]).unwrap().to_owned();
                let delivery = Delivery {
                    id: header("webhook-id"),
                    timestamp: header("webhook-timestamp").parse().unwrap(),
                    signature: header("webhook-signature"),
                    event: serde_json::from_str(&body).unwrap(),
                    body,
                };
                bytes.drain(..end);
                return Ok(Some(delivery));
            }
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

#[actix_web::test]
async fn a_late_answer_comes_whatever_the_length_of_the_request() {
    let hook = Hook::deciding(|_| Reply::Late(Duration::from_millis(1), 204)).await;
    let address = hook.url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/hook")).unwrap();
    for padding in 0..128 {
        let body = format!("{{}}{}", " ".repeat(padding));
        let request = format!(
            "POST /hook HTTP/1.1\r\nwebhook-id: e\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer).await;
        assert!(read.is_ok() && answer == *b"HTTP/1.1 204", "{} bytes: {read:?}", request.len());
    }
}
