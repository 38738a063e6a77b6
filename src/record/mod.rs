//! A customer's fields as the bytes that the store keeps: canonical JSON, as serde writes it.
//!
//! An answer is spliced from the id, the timestamp of creation and these bytes. They are not parsed, because they were
//! valid when they were written. So an older version of the service also serves what a newer one wrote.

use serde_json::to_writer;

use crate::{
    contract,
    model::{CustomerInput, RequestExtensionItem},
    store::{Record, StoredCustomer},
};

/// What an object with at least one member begins and ends with.
const OPEN: &[u8] = b"{\"";
const CLOSE: &[u8] = b"}";

/// The error for a record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DamagedRecord {
    /// The bytes are not a JSON object.
    #[error("a record is not a JSON object")]
    NotAnObject,
    /// The record is sealed, and no key for it is available.
    #[error("a record is sealed by a key that is not available")]
    Sealed,
    /// The library could not write JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes the fields of a customer as a record.
pub fn encode(customer: &CustomerInput) -> Result<Record, DamagedRecord> {
    Ok(Record { bytes: serde_json::to_vec(customer)?, sealed_by: None })
}

/// Appends a customer as JSON, as the schema `Customer` has it.
pub fn write_customer(stored: &StoredCustomer, json: &mut Vec<u8>) -> Result<(), DamagedRecord> {
    let members = plain(&stored.record)?.strip_prefix(b"{").ok_or(DamagedRecord::NotAnObject)?;
    json.extend_from_slice(b"{\"CustomerID\":");
    to_writer(&mut *json, &stored.customer_id)?;
    json.extend_from_slice(b",\"Created\":");
    to_writer(&mut *json, &stored.created)?;
    json.push(b',');
    json.extend_from_slice(members);
    Ok(())
}

/// A page of customers as JSON, as the schema `Customers` has it.
pub fn write_page(customers: &[StoredCustomer], page_token: Option<&str>) -> Result<Vec<u8>, DamagedRecord> {
    let mut json = b"{\"Items\":[".to_vec();
    for (index, customer) in customers.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_customer(customer, &mut json)?;
    }
    json.push(b']');
    if let Some(page_token) = page_token {
        json.extend_from_slice(b",\"PageToken\":");
        to_writer(&mut json, page_token)?;
    }
    json.push(b'}');
    Ok(json)
}

/// Holds a record against the contract; empty if it is a `CustomerInput`.
pub fn check(record: &Record) -> Result<Vec<RequestExtensionItem>, DamagedRecord> {
    plain(record).map(contract::explain_customer_input)
}

/// The JSON of a record.
fn plain(record: &Record) -> Result<&[u8], DamagedRecord> {
    let Record { bytes, sealed_by } = record;
    match sealed_by {
        Some(_) => Err(DamagedRecord::Sealed),
        None if bytes.starts_with(OPEN) && bytes.ends_with(CLOSE) => Ok(bytes),
        None => Err(DamagedRecord::NotAnObject),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{model::Timestamp, store::Version};

    fn stored(bytes: &[u8], sealed_by: Option<&str>) -> StoredCustomer {
        let now = Timestamp::from_micros(1_750_000_000_000_001).unwrap();
        let record = Record { bytes: bytes.to_vec(), sealed_by: sealed_by.map(str::to_owned) };
        let customer_id = "c \"1\"".parse().unwrap();
        StoredCustomer { customer_id, record, version: Version::new(), created: now, updated: now }
    }

    #[test]
    fn a_customer_is_the_record_after_its_id_and_its_creation() {
        let mut json = Vec::new();
        write_customer(&stored(br#"{"Later":[1, 2],"Name":"x"}"#, None), &mut json).unwrap();
        let expected = json!({
            "CustomerID": "c \"1\"", "Created": "2025-06-15T15:06:40.000001Z", "Later": [1, 2], "Name": "x"
        });
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), expected);
        assert!(json.ends_with(br#""Later":[1, 2],"Name":"x"}"#), "the record's own bytes");
    }

    #[test]
    fn a_record_that_is_not_an_object_gives_no_answer() {
        for bytes in ["", "{", "}", "{}", "[]", "null", "\"{\"", "{\"a\":1", "\u{1}{\"a\":1}"] {
            let damaged = write_customer(&stored(bytes.as_bytes(), None), &mut Vec::new());
            assert!(matches!(damaged, Err(DamagedRecord::NotAnObject)), "{bytes}");
        }
        let sealed = write_customer(&stored(br#"{"a":1}"#, Some("k1")), &mut Vec::new());
        assert!(matches!(sealed, Err(DamagedRecord::Sealed)));
    }
}
