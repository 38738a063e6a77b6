//! A client that costs so little that the server is what is measured: requests are bytes, and of an answer only its
//! status and its length are looked at.

use std::{cell::RefCell, collections::BTreeMap, net::SocketAddr, rc::Rc, time::Duration};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::{JoinSet, LocalSet},
    time::{Instant, sleep, sleep_until},
};

use crate::tls::Tls;

/// The longest latency that is told apart, in microseconds.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// How many header lines of an answer are understood.
const HEADERS_MAX: usize = 32;

/// How the requests follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) connections: usize,
    /// How many requests are due each second; `None` is as many as the server answers.
    pub(crate) rate: Option<f64>,
    /// When to stop.
    pub(crate) limit: Duration,
    /// Whether each request has a connection of its own.
    pub(crate) reconnects: bool,
    /// How often to tell what happened since the last time.
    pub(crate) tell: Option<Duration>,
}

/// What came of it.
pub(crate) struct Answers {
    /// In microseconds: from when a request was due, so that one that had to wait for another is not taken for quick.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) elapsed: Duration,
    /// How many of the requests were sent.
    pub(crate) sent: usize,
}

impl Answers {
    pub(crate) fn empty() -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 3)?;
        Ok(Self { latencies, statuses: BTreeMap::new(), elapsed: Duration::ZERO, sent: 0 })
    }

    pub(crate) fn add(&mut self, others: &Self) -> anyhow::Result<()> {
        self.latencies.add(&others.latencies)?;
        for (&status, count) in &others.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.elapsed += others.elapsed;
        self.sent += others.sent;
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// How many answers have another status than they are to have.
    pub(crate) fn errors(&self, expects: impl Fn(u16) -> bool) -> u64 {
        let errors = self.statuses.iter().filter(|(status, _)| !expects(**status));
        errors.map(|(_, count)| count).sum()
    }

    fn record(&mut self, micros: u64, status: u16) {
        self.latencies.saturating_record(micros);
        *self.statuses.entry(status).or_default() += 1;
    }
}

/// Sends requests, from one of them on, over so many connections, each of which is kept alive and has one request on
/// its way. `requests` gives the request of a number, or `None` after the last one.
pub(crate) fn drive<R>(target: &Target, requests: R, from: usize, pace: Pace) -> anyhow::Result<Answers>
where
    R: Fn(usize) -> anyhow::Result<Option<Vec<u8>>> + 'static,
{
    local(async {
        let mut connections = Vec::new();
        for _ in 0..pace.connections {
            connections.push(target.connect().await?);
        }
        let started = Instant::now();
        let (answers, lately) = (RefCell::new(Answers::empty()?), RefCell::new(Answers::empty()?));
        let target = target.clone();
        let load = Rc::new(Load { target, requests, from, pace, started, answers, lately });
        let mut tasks = JoinSet::new();
        for connection in connections {
            tasks.spawn_local(Rc::clone(&load).send(connection));
        }
        let telling = pace.tell.map(|interval| tokio::task::spawn_local(Rc::clone(&load).tell(interval)));
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        if let Some(telling) = telling {
            telling.abort();
        }
        let mut answers = load.answers.replace(Answers::empty()?);
        answers.elapsed = started.elapsed();
        Ok(answers)
    })
}

/// Sends requests one after the other, each made from the body of the answer before it; gives the last body.
pub(crate) fn follow(
    target: &Target,
    mut next: impl FnMut(&[u8]) -> anyhow::Result<Option<Vec<u8>>>,
) -> anyhow::Result<()> {
    local(async {
        let mut connection = target.connect().await?;
        let mut body = Vec::new();
        while let Some(request) = next(&body)? {
            let (status, answer) = connection.exchange(&request).await?;
            ensure!(status == 200, "the server answers {status}: {}", String::from_utf8_lossy(&answer));
            body = answer;
        }
        Ok(())
    })
}

fn local<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

/// What all connections share.
struct Load<R> {
    target: Target,
    requests: R,
    from: usize,
    pace: Pace,
    started: Instant,
    answers: RefCell<Answers>,
    /// Since the last time that something was told.
    lately: RefCell<Answers>,
}

impl<R: Fn(usize) -> anyhow::Result<Option<Vec<u8>>>> Load<R> {
    async fn send(self: Rc<Self>, mut connection: Connection) -> anyhow::Result<()> {
        while self.started.elapsed() < self.pace.limit {
            let number = self.answers.borrow().sent;
            let Some(request) = (self.requests)(self.from + number)? else { break };
            self.answers.borrow_mut().sent += 1;
            let due = self.due(number).await;
            if self.pace.reconnects {
                connection = self.target.connect().await?;
            }
            let (status, _) = connection.exchange(&request).await?;
            let micros = u64::try_from(due.elapsed().as_micros())?;
            self.answers.borrow_mut().record(micros, status);
            if self.pace.tell.is_some() {
                self.lately.borrow_mut().record(micros, status);
            }
        }
        Ok(())
    }

    async fn tell(self: Rc<Self>, interval: Duration) -> anyhow::Result<()> {
        loop {
            let started = Instant::now();
            sleep(interval).await;
            let mut lately = self.lately.replace(Answers::empty()?);
            lately.elapsed = started.elapsed();
            println!(
                "  {:>4} s: {:.0}/s, p99 {} us, {:?}",
                self.started.elapsed().as_secs(),
                lately.rate(),
                lately.latencies.value_at_quantile(0.99),
                lately.statuses
            );
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    async fn due(&self, number: usize) -> Instant {
        let Some(rate) = self.pace.rate else { return Instant::now() };
        let due = self.started + Duration::from_secs_f64(number as f64 / rate);
        sleep_until(due).await;
        due
    }
}

/// Where the server listens.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Tls>,
}

impl Target {
    async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(self.address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.connect(stream).await?),
            None => Box::new(stream),
        };
        Ok(Connection { stream, buffer: Vec::with_capacity(64 * 1024) })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Sends a request, and waits until its answer is here as a whole.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some((status, body)) = answer(&self.buffer)? {
                return Ok((status, body.to_vec()));
            }
        }
    }
}

/// An answer, if it is complete.
fn answer(bytes: &[u8]) -> anyhow::Result<Option<(u16, &[u8])>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(bytes)? else { return Ok(None) };
    let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(header) => str::from_utf8(header.value)?.parse()?,
        None => 0,
    };
    let body = bytes[head_bytes..].get(..length);
    Ok(head.code.zip(body))
}
