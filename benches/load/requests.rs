//! Requests as the bytes that go over the wire, made and signed before the clock starts.

use std::fmt::Write as _;

use customers_api::{
    clock,
    signature::{EXPIRY_SECONDS_MAX, Facts, PrivateKey, sign},
};

use crate::{
    case::{Case, PAGE_ITEMS, Work},
    customer::customer,
    data::{Data, seed_id},
};

/// The requests of a case.
pub(crate) struct Requests {
    pub(crate) bytes: Vec<Vec<u8>>,
    /// Which customer each of them puts.
    pub(crate) puts: Vec<Option<String>>,
}

/// What varies from run to run.
pub(crate) struct Plan<'a> {
    pub(crate) case: Case,
    pub(crate) data: &'a Data,
    pub(crate) identities: usize,
    /// So that every run puts customers that are new.
    pub(crate) run: String,
    /// Where the deep pages begin.
    pub(crate) page_token: Option<String>,
}

impl Plan<'_> {
    pub(crate) fn requests(&self, count: usize) -> anyhow::Result<Requests> {
        let mut requests = Requests { bytes: Vec::with_capacity(count), puts: Vec::with_capacity(count) };
        for number in 0..count {
            let is_put = match self.case.work() {
                Work::Put => true,
                Work::Mix => number % 5 == 0,
                Work::Get | Work::ListFirst | Work::ListDeep => false,
            };
            let id = is_put.then(|| format!("{}-{number:08}", self.run));
            requests.bytes.push(match &id {
                Some(id) => self.put(id, number)?,
                None => self.read(number)?,
            });
            requests.puts.push(id);
        }
        Ok(requests)
    }

    fn put(&self, id: &str, number: usize) -> anyhow::Result<Vec<u8>> {
        let body = serde_json::to_vec(&customer(number, self.identities))?;
        self.request("PUT", &format!("/customers/{id}"), "", &body)
    }

    fn read(&self, number: usize) -> anyhow::Result<Vec<u8>> {
        match self.case.work() {
            Work::ListFirst => self.request("GET", "/customers", &format!("PageSize={PAGE_ITEMS}"), b""),
            Work::ListDeep => self.page(PAGE_ITEMS, self.page_token.as_deref()),
            Work::Put | Work::Get | Work::Mix => {
                // A step that shares no factor with a round number, so that the reads are all over the table.
                let seed = number * 7919 % self.data.customers.max(1) as usize;
                self.request("GET", &format!("/customers/{}", seed_id(seed)), "", b"")
            }
        }
    }

    pub(crate) fn page(&self, items: usize, token: Option<&str>) -> anyhow::Result<Vec<u8>> {
        let token = token.map_or_else(String::new, |token| format!("&PageToken={token}"));
        self.request("GET", "/customers", &format!("PageSize={items}{token}"), b"")
    }

    fn request(&self, method: &str, path: &str, query: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let question_mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!("{method} {path}{question_mark}{query} HTTP/1.1\r\nHost: localhost\r\n");
        if !body.is_empty() {
            write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())?;
        }
        if let Some(algorithm) = self.case.algorithm() {
            let (key_id, key) = self.data.key(algorithm);
            write!(head, "Api-Signature: {}\r\n", token(key, key_id, method, path, query, body)?)?;
        }
        Ok([head.as_bytes(), b"\r\n", body].concat())
    }
}

pub(crate) fn token(
    key: &PrivateKey,
    key_id: &str,
    method: &str,
    path: &str,
    query: &str,
    body: &[u8],
) -> anyhow::Result<String> {
    let now = clock::now().timestamp();
    let facts = Facts { audience: "customers-api", now, method, path, query, body };
    Ok(sign(key, Some(key_id), &facts, EXPIRY_SECONDS_MAX)?)
}
