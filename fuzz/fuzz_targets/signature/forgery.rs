//! Tokens that are nearly right: each part of them right, wrong or left out.

use arbitrary::Arbitrary;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use customers_api::signature::{Algorithm, PrivateKey};
use jsonwebtoken::EncodingKey;
use serde_json::{Map, Number, Value, json};

use crate::{AUDIENCE, NOW, SIGNERS};

/// A request, and how its token is made.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
    pub is_alone: bool,
    signer: u8,
    alg: Part,
    kid: Part,
    typ: Part,
    crit: Part,
    claims: [Part; 8],
    more: Vec<(&'a str, Json)>,
    whole_header: Option<Json>,
    whole_claims: Option<Json>,
    pub forgery: Forgery<'a>,
}

/// One member of the header or of the claims.
#[derive(Debug, Arbitrary)]
enum Part {
    Right,
    Absent,
    /// A number near the right one, a text like the right one.
    Near(i16),
    /// The same as one text, or in a list.
    Listed,
    Other(Json),
}

/// Any JSON.
#[derive(Debug, Arbitrary)]
enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// What is done to a token after it was signed.
#[derive(Debug, Arbitrary)]
pub enum Forgery<'a> {
    None,
    Text(&'a str),
    Edit { at: u16, removed: u8, inserted: &'a str },
}

impl Input<'_> {
    pub fn signer(&self) -> usize {
        usize::from(self.signer) % SIGNERS.len()
    }

    pub fn header(&self) -> Value {
        if let Some(whole) = &self.whole_header {
            return whole.value();
        }
        let signer = &SIGNERS[self.signer()];
        let mut header = Map::new();
        let mut add = |name: &str, part: &Part, right: Option<Value>| {
            header.extend(part.value(right).map(|value| (name.to_owned(), value)));
        };
        add("alg", &self.alg, Some(json!(signer.key.algorithm().name())));
        add("kid", &self.kid, Some(json!(signer.key_id)));
        add("typ", &self.typ, Some(json!("JWT")));
        add("crit", &self.crit, None);
        Value::Object(header)
    }

    pub fn claims(&self) -> Value {
        if let Some(whole) = &self.whole_claims {
            return whole.value();
        }
        let mut claims: Map<_, _> =
            self.more.iter().map(|(name, value)| ((*name).to_owned(), value.value())).collect();
        let right = [
            ("aud", Some(json!(AUDIENCE))),
            ("iat", Some(json!(NOW))),
            ("exp", Some(json!(NOW + 300))),
            ("nbf", None),
            ("method", Some(json!(self.method))),
            ("path", Some(json!(self.path))),
            ("queryParams", self.query_params()),
            ("bodyHash", (!self.body.is_empty()).then(|| json!(hex::encode(digest(&SHA256, self.body))))),
        ];
        for (part, (name, right)) in self.claims.iter().zip(right) {
            claims.remove(name);
            claims.extend(part.value(right).map(|value| (name.to_owned(), value)));
        }
        Value::Object(claims)
    }

    fn query_params(&self) -> Option<Value> {
        let mut params = Map::new();
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()) {
            match params.get_mut(name.as_ref()) {
                None => drop(params.insert(name.into_owned(), json!(value))),
                Some(Value::Array(values)) => values.push(json!(value)),
                Some(one) => *one = json!([one.take(), value]),
            }
        }
        (!params.is_empty()).then_some(Value::Object(params))
    }
}

impl Part {
    fn value(&self, right: Option<Value>) -> Option<Value> {
        match self {
            Self::Right => right,
            Self::Absent => None,
            Self::Near(offset) => Some(match right {
                Some(Value::String(text)) if offset % 2 == 0 => json!(text.to_uppercase()),
                Some(Value::String(text)) => json!(text.chars().skip(1).collect::<String>()),
                Some(Value::Number(number)) => json!(number.as_i64()? + i64::from(*offset)),
                _ => json!(NOW + i64::from(*offset)),
            }),
            Self::Listed => right.map(|right| json!([right])),
            Self::Other(other) => Some(other.value()),
        }
    }
}

impl Json {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Integer(value) => json!(value),
            Self::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Self::Text(text) => json!(text),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.value())).collect()
            }
        }
    }
}

impl Forgery<'_> {
    pub fn apply(&self, token: &str) -> String {
        match *self {
            Self::None => token.to_owned(),
            Self::Text(text) => text.to_owned(),
            Self::Edit { at, removed, inserted } => {
                // A token is ASCII, so any place is between two characters.
                let at = usize::from(at) % (token.len() + 1);
                let end = (at + usize::from(removed)).min(token.len());
                format!("{}{inserted}{}", &token[..at], &token[end..])
            }
        }
    }
}

/// Any header and any claims, signed properly.
pub fn sign(key: &PrivateKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let algorithm = match key.algorithm() {
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
    };
    let key = EncodingKey::from_ec_pem(key.to_pem().as_bytes()).expect("a key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}
