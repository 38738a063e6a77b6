//! Requests as the bytes that go over the wire.

use std::{fmt::Write as _, rc::Rc};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use customers_api::{
    account::Account,
    clock, random,
    signature::{Algorithm, EXPIRY_SECONDS_MAX, Facts, PrivateKey, sign},
};
use serde_json::json;

use crate::{
    case::{Case, PAGE_ITEMS, Work},
    customer::customer,
    dice::dice,
    ids::Ids,
};

/// When the first customer of an import was created.
const FIRST_CREATED: DateTime<Utc> = DateTime::from_timestamp_nanos(1_700_000_000_000_000_000);

/// The most violations that an answer lists.
const VIOLATIONS_MAX: usize = 1000;

/// The most identities of a customer, if `--identities` does not say how many.
const IDENTITIES_MAX: usize = 3;

/// The keys that sign, one for each algorithm, and their ids.
pub(crate) struct Keys(Vec<(Algorithm, String, PrivateKey)>);

impl Keys {
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let keys = Algorithm::ALL
            .into_iter()
            .map(|algorithm| Ok((algorithm, random::uuid().to_string(), PrivateKey::generate(algorithm)?)));
        Ok(Self(keys.collect::<anyhow::Result<_>>()?))
    }

    /// One key alone.
    pub(crate) fn one(algorithm: Algorithm) -> anyhow::Result<Self> {
        Ok(Self(vec![(algorithm, random::uuid().to_string(), PrivateKey::generate(algorithm)?)]))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &PrivateKey)> {
        self.0.iter().map(|(_, id, key)| (id.as_str(), key))
    }

    fn of(&self, algorithm: Algorithm) -> Option<(&str, &PrivateKey)> {
        self.0.iter().find(|(of, ..)| *of == algorithm).map(|(_, id, key)| (id.as_str(), key))
    }
}

/// The requests of a case, one for each number.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) case: Case,
    pub(crate) keys: Rc<Keys>,
    /// The ids of new customers.
    pub(crate) ids: Ids,
    /// How many customers were there before.
    pub(crate) customers: usize,
    /// How many identities a customer has; `None` is 1 to 3 in turn.
    pub(crate) identities: Option<usize>,
    /// Where the deep pages begin.
    pub(crate) page_token: Option<String>,
}

impl Plan {
    /// The customer that a request puts.
    pub(crate) fn put_id(&self, number: usize) -> Option<String> {
        match self.case.work() {
            Work::Put => Some(self.ids.id(number)),
            Work::Mix if number.is_multiple_of(5) => Some(self.ids.id(number)),
            Work::Update => Some(self.seeded(number)),
            _ => None,
        }
    }

    pub(crate) fn request(&self, number: usize) -> anyhow::Result<Vec<u8>> {
        if let Some(id) = self.put_id(number) {
            return self.put(&id, number);
        }
        let path = format!("/customers/{}", self.ids.id(number));
        match self.case.work() {
            Work::ListFirst => self.page(PAGE_ITEMS, None),
            Work::ListDeep => self.page(PAGE_ITEMS, self.page_token.as_deref()),
            Work::OneViolation => {
                let mut body = customer(number, self.identities(number));
                body["DateOfBirth"] = json!("1985-02-30");
                self.request_of("PUT", &path, "", &serde_json::to_vec(&body)?)
            }
            Work::ManyViolations => {
                let mut body = customer(number, 0);
                body["Identities"] = vec![json!(null); VIOLATIONS_MAX].into();
                self.request_of("PUT", &path, "", &serde_json::to_vec(&body)?)
            }
            Work::WrongSignature => {
                let [signed, sent] = [0, 1].map(|more| customer(number + more, self.identities(number)));
                let [signed, sent] = [serde_json::to_vec(&signed)?, serde_json::to_vec(&sent)?];
                self.text("PUT", &path, "", &sent, &signed)
            }
            Work::Bare => self.put(&self.ids.id(number), number),
            Work::Get | Work::Mix | Work::Put | Work::Update => {
                self.request_of("GET", &format!("/customers/{}", self.seeded(number)), "", b"")
            }
        }
    }

    pub(crate) fn put(&self, id: &str, number: usize) -> anyhow::Result<Vec<u8>> {
        let body = serde_json::to_vec(&customer(number, self.identities(number)))?;
        self.request_of("PUT", &format!("/customers/{id}"), "", &body)
    }

    /// A customer as `customers-api export` prints it, created so many microseconds after the first.
    pub(crate) fn exported(&self, id: &str, number: usize) -> serde_json::Value {
        const VERSION: u64 = 6;
        let created = FIRST_CREATED + TimeDelta::microseconds(i64::try_from(number).unwrap_or(i64::MAX));
        let created = created.to_rfc3339_opts(SecondsFormat::Micros, true);
        json!({ "Customer": {
            "Account": Account::sandbox().as_str(),
            "CustomerID": id,
            "Version": format!("{:016x}{number:016x}", dice(VERSION, number)),
            "Created": created,
            "Updated": created,
            "Record": customer(number, self.identities(number)),
        } })
    }

    pub(crate) fn page(&self, items: usize, token: Option<&str>) -> anyhow::Result<Vec<u8>> {
        let token = token.map_or_else(String::new, |token| format!("&PageToken={token}"));
        self.request_of("GET", "/customers", &format!("PageSize={items}{token}"), b"")
    }

    fn identities(&self, number: usize) -> usize {
        self.identities.unwrap_or(1 + number % IDENTITIES_MAX)
    }

    /// One of the customers that were there before, any of them.
    #[allow(clippy::cast_possible_truncation, reason = "any part of the number is as good as another")]
    fn seeded(&self, number: usize) -> String {
        const SEED: u64 = 5;
        Ids::SEEDED.id(dice(SEED, number) as usize % self.customers.max(1))
    }

    fn request_of(&self, method: &str, path: &str, query: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.text(method, path, query, body, body)
    }

    fn text(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
        signed: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let question_mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!("{method} {path}{question_mark}{query} HTTP/1.1\r\nHost: localhost\r\n");
        if !body.is_empty() {
            write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())?;
        }
        if let Some((key_id, key)) = self.case.algorithm().and_then(|algorithm| self.keys.of(algorithm)) {
            write!(head, "Api-Signature: {}\r\n", token(key, key_id, method, path, query, signed)?)?;
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
    let facts =
        Facts { audience: "customers-api", now, method, path, base_path: "", template: "", query, body };
    Ok(sign(key, Some(key_id), &facts, EXPIRY_SECONDS_MAX)?)
}
