//! A receiver of webhooks on loopback, which behaves as a test says; and names that lead to it.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::rt;
use customers_api::webhooks::{
    Allowed, AllowedHost, Client, ClientSettings as Settings, Failure, Message, Network, Target,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    /// Sends this, and waits for the next request.
    Text(&'static str),
    /// Sends this, and closes the connection.
    Last(&'static str),
    /// Sends the first text, and then the second one again and again.
    Endless(&'static str, &'static str),
    /// The same, in small pieces.
    Drips(&'static str, &'static str),
}

/// Accepts the request, and keeps the connection.
pub(super) const ACCEPTED: Reply = Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

/// What a receiver saw.
#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    ended: Cell<usize>,
    requests: RefCell<Vec<String>>,
    change: Notify,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    seen: Rc<Seen>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Receiver {
    /// A receiver of requests over http. Each gets the next reply, and the last one is for all that follow.
    pub(super) async fn start(replies: &'static [Reply]) -> Self {
        Self::with(replies, None).await
    }

    /// A receiver that speaks TLS.
    pub(super) async fn start_tls(replies: &'static [Reply], acceptor: TlsAcceptor) -> Self {
        Self::with(replies, Some(acceptor)).await
    }

    async fn with(replies: &'static [Reply], acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), seen: Rc::default() };
        let seen = Rc::clone(&receiver.seen);
        rt::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.connections.set(seen.connections.get() + 1);
                let (seen, acceptor) = (Rc::clone(&seen), acceptor.clone());
                rt::spawn(async move {
                    let ended = serve(stream, acceptor, replies, &seen).await;
                    // A client that closes the connection is an error here, and no surprise.
                    drop(ended);
                    seen.ended.set(seen.ended.get() + 1);
                    seen.change.notify_one();
                });
            }
        });
        receiver
    }

    /// A target at this receiver, by the address.
    pub(super) fn target(&self, path: &str) -> Target {
        Target::parse(&format!("http://{}{path}", self.address), &allowed(&["127.0.0.1"])).unwrap()
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.seen.connections.get()
    }

    /// The requests so far, each with its head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.requests.borrow().clone()
    }

    /// Waits until so many connections have ended.
    pub(super) async fn ended(&self, count: usize) {
        while self.seen.ended.get() < count {
            self.seen.change.notified().await;
        }
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    replies: &[Reply],
    seen: &Seen,
) -> io::Result<()> {
    let mut stream: Box<dyn Stream> = match acceptor {
        Some(acceptor) => Box::new(acceptor.accept(stream).await?),
        None => Box::new(stream),
    };
    loop {
        let request = read(&mut stream).await?;
        let number = seen.requests.borrow().len();
        seen.requests.borrow_mut().push(request);
        match replies[number.min(replies.len() - 1)] {
            Reply::Text(text) => send(&mut stream, text).await?,
            Reply::Last(text) => {
                send(&mut stream, text).await?;
                return stream.shutdown().await;
            }
            Reply::Endless(first, then) => {
                send(&mut stream, first).await?;
                loop {
                    send(&mut stream, then).await?;
                }
            }
            Reply::Drips(first, then) => {
                send(&mut stream, first).await?;
                loop {
                    send(&mut stream, then).await?;
                    rt::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

async fn send(stream: &mut dyn Stream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

/// The next request: its head, and as many bytes as it announces. What is not text is answered and refused.
async fn read(stream: &mut dyn Stream) -> io::Result<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if request.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            send(stream, "HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return Ok(text);
            }
        }
        request.push(stream.read_u8().await?);
    }
}

/// Names and addresses of a test: every connection goes to one receiver, whatever its address.
pub(super) struct Names {
    /// The addresses of every name: those of the first look-up, of the second, and so on; the last are for all that follow.
    pub(super) addresses: Vec<Vec<IpAddr>>,
    /// Where connections really go to.
    pub(super) receiver: SocketAddr,
    /// The names that were looked up, and the addresses that were connected to.
    pub(super) asked: Mutex<(Vec<String>, Vec<SocketAddr>)>,
}

impl Names {
    pub(super) fn new(receiver: &Receiver, addresses: &[&[&str]]) -> Arc<Self> {
        let addresses = addresses.iter().map(|all| all.iter().map(|one| one.parse().unwrap()).collect());
        Arc::new(Self { addresses: addresses.collect(), receiver: receiver.address, asked: Mutex::default() })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.asked.lock().unwrap().0.clone()
    }

    pub(super) fn connected_to(&self) -> Vec<String> {
        self.asked.lock().unwrap().1.iter().map(SocketAddr::to_string).collect()
    }
}

impl Network for Names {
    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut asked = self.asked.lock().unwrap();
        let addresses = &self.addresses[asked.0.len().min(self.addresses.len() - 1)];
        asked.0.push(name.to_owned());
        let found =
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses.clone()) };
        async move { found }.boxed()
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        self.asked.lock().unwrap().1.push(address);
        TcpStream::connect(self.receiver).boxed()
    }
}

pub(super) fn allowed(hosts: &[&str]) -> Allowed {
    hosts.iter().map(|host| host.parse::<AllowedHost>().unwrap()).collect()
}

/// A client that may ask receivers on loopback.
pub(super) fn client() -> Client {
    Client::with(allowed(&["127.0.0.1"]), patient()).unwrap()
}

/// Settings with far more time than anything here takes.
pub(super) fn patient() -> Settings {
    Settings { head_time_max: Duration::from_secs(120), ..Settings::default() }
}

/// Settings with little time, for receivers that never come to an end.
pub(super) fn impatient() -> Settings {
    Settings { head_time_max: Duration::from_millis(300), ..Settings::default() }
}

/// Sends a small event.
pub(super) async fn send_to(client: &Client, target: &Target) -> Result<(), Failure> {
    let message = Message {
        id: "e-1".to_owned(),
        timestamp: 1,
        body: r#"{"a":1}"#.into(),
        signatures: "v1,abc".to_owned(),
    };
    client.send(target, &message).await.map(drop)
}
