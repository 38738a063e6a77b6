use std::collections::BTreeMap;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A connection on which a test writes what no client would.
pub(crate) struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as it came over the connection.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Raw {
    pub(crate) async fn connect(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer to a request that is not HEAD.
    pub(crate) async fn answer(&mut self) -> RawAnswer {
        loop {
            if let Some((answer, length)) = parse(&self.received) {
                self.received.drain(..length);
                return answer;
            }
            assert!(self.read().await, "an answer comes before the end: {:?}", self.received);
        }
    }

    /// Everything that comes until the server closes the connection.
    pub(crate) async fn rest(mut self) -> String {
        while self.read().await {}
        String::from_utf8(self.received).unwrap()
    }

    /// Goes away, so that the server sees an error on the connection.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Whether there was something to read.
    async fn read(&mut self) -> bool {
        self.stream.read_buf(&mut self.received).await.unwrap() > 0
    }
}

/// The answer that a text begins with, and how many bytes it has.
fn parse(received: &[u8]) -> Option<(RawAnswer, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let head_bytes = match head.parse(received).unwrap() {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return None,
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers: BTreeMap<_, _> =
        head.headers.iter().map(|header| (header.name.to_lowercase(), text(header.value))).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let body = text(received.get(head_bytes..head_bytes + length)?);
    Some((RawAnswer { status: head.code.unwrap(), headers, body }, head_bytes + length))
}
