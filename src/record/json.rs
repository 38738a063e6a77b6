//! Records as JSON.

use serde::Serialize;
use serde_json::{to_writer, value::RawValue};

use super::error::DamagedRecord;
use crate::store::{Kind, StoredCustomer};

/// What an object with at least one member begins and ends with.
const OPEN: &[u8] = b"{\"";
const CLOSE: &[u8] = b"}";

pub(super) fn encode(fields: &impl Serialize) -> Result<Vec<u8>, DamagedRecord> {
    serde_json::to_vec(fields).map_err(|_| DamagedRecord::Unwritable)
}

/// The member that holds the id, at the beginning of an answer.
const fn id_member(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Customer => b"{\"CustomerID\":",
    }
}

/// Appends what was put under an id with these fields, as the schema `Customer` has it.
pub(super) fn write(
    kind: Kind,
    stored: &StoredCustomer,
    fields: &[u8],
    json: &mut Vec<u8>,
) -> Result<(), DamagedRecord> {
    if !(fields.starts_with(OPEN) && fields.ends_with(CLOSE)) {
        return Err(DamagedRecord::NotAnObject);
    }
    json.extend_from_slice(id_member(kind));
    append(&stored.customer_id, json)?;
    json.extend_from_slice(b",\"Created\":");
    append(&stored.created, json)?;
    json.push(b',');
    json.extend_from_slice(&fields[1..]);
    Ok(())
}

pub(super) fn line(fields: &[u8]) -> Result<Box<RawValue>, DamagedRecord> {
    let is_line = fields.starts_with(OPEN) && !fields.contains(&b'\n');
    let line = if is_line { serde_json::from_slice(fields).ok() } else { None };
    line.ok_or(DamagedRecord::NotAnObject)
}

/// A page, as the schema `Customers` has it.
pub(super) struct Page(Vec<u8>);

impl Page {
    /// With room for so many bytes, so that a large page is not copied while it grows.
    pub(super) fn new(bytes: usize) -> Self {
        let mut json = Vec::with_capacity(bytes);
        json.extend_from_slice(b"{\"Items\":[");
        Self(json)
    }

    /// Adds what is appended, or nothing if that fails.
    pub(super) fn add(&mut self, append: impl FnOnce(&mut Vec<u8>) -> Result<(), DamagedRecord>) {
        let Self(json) = self;
        let before = json.len();
        // Only the first item follows the bracket: an item is an object.
        if !json.ends_with(b"[") {
            json.push(b',');
        }
        if append(json).is_err() {
            json.truncate(before);
        }
    }

    pub(super) fn end(self, page_token: Option<&str>) -> Result<Vec<u8>, DamagedRecord> {
        let Self(mut json) = self;
        json.push(b']');
        if let Some(page_token) = page_token {
            json.extend_from_slice(b",\"PageToken\":");
            append(page_token, &mut json)?;
        }
        json.push(b'}');
        // It may wait until a slow client takes it.
        json.shrink_to_fit();
        Ok(json)
    }
}

fn append(value: &(impl Serialize + ?Sized), json: &mut Vec<u8>) -> Result<(), DamagedRecord> {
    to_writer(json, value).map_err(|_| DamagedRecord::Unwritable)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        model::Timestamp,
        store::{Record, Version},
    };

    fn stored() -> StoredCustomer {
        let now = Timestamp::from_micros(1_750_000_000_000_001).unwrap();
        let record = Record { bytes: Vec::new(), sealed_by: None };
        let customer_id = "c \"1\"".parse().unwrap();
        StoredCustomer { customer_id, record, version: Version::new(), created: now, updated: now }
    }

    #[test]
    fn a_customer_is_the_record_after_its_id_and_its_creation() {
        let mut json = Vec::new();
        write(Kind::Customer, &stored(), br#"{"Later":[1, 2],"Name":"x"}"#, &mut json).unwrap();
        let expected = json!({
            "CustomerID": "c \"1\"", "Created": "2025-06-15T15:06:40.000001Z", "Later": [1, 2], "Name": "x"
        });
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), expected);
        assert!(json.ends_with(br#""Later":[1, 2],"Name":"x"}"#), "the record's own bytes");
    }

    #[test]
    fn a_record_that_is_not_an_object_gives_no_answer() {
        for bytes in ["", "{", "}", "{}", "[]", "null", "\"{\"", "{\"a\":1", "\u{1}{\"a\":1}"] {
            let damaged = write(Kind::Customer, &stored(), bytes.as_bytes(), &mut Vec::new());
            assert!(matches!(damaged, Err(DamagedRecord::NotAnObject)), "{bytes}");
        }
    }
}
