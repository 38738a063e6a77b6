//! The lines of an export, `{"Key": …}`, `{"Signature": …}`, `{"Pruned": …}`, `{"Event": …}`, `{"Customer": …}` and at last
//! `{"End": …}`: how they are written and read.
//!
//! No error shows a value of a line, because it may be personal data.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Error as JsonError, Value, value::RawValue};

use super::{
    event_lines::{self, EventMembers, PrunedMembers, SignatureMembers, write_line},
    keys::key_id,
    members::{parsed, timestamp},
    verify::describe,
};
use crate::{
    account::Account,
    contract,
    model::{self, CustomerId, CustomerInput, Timestamp},
    scope::Scope,
    signature::PublicKey,
    store::{MovedEvent, SigningKey, StoredCustomer, UsedSignature, Version},
};

#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub(super) enum Entry {
    Key(SigningKey),
    Customer(Identity, CustomerInput),
    Signature(UsedSignature),
    Event(MovedEvent),
    /// The export is whole: so many lines came before.
    End(u64),
}

/// What an export says of a customer besides the fields.
pub(super) struct Identity {
    pub(super) account: Account,
    pub(super) customer_id: CustomerId,
    pub(super) version: Version,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// A line as it is read. `R` is the record.
#[derive(Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
enum Members<R> {
    #[serde(deserialize_with = "model::object")]
    Key(KeyMembers),
    #[serde(deserialize_with = "model::object")]
    Customer(CustomerMembers<R>),
    #[serde(deserialize_with = "model::object")]
    Signature(SignatureMembers),
    #[serde(deserialize_with = "model::object")]
    Pruned(PrunedMembers),
    #[serde(deserialize_with = "model::object")]
    Event(EventMembers),
    #[serde(deserialize_with = "model::object")]
    End(EndMembers),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyMembers {
    account: String,
    #[serde(rename = "KeyID")]
    key_id: String,
    algorithm: String,
    public_key: String,
    created: String,
    #[serde(default, deserialize_with = "model::present", skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, deserialize_with = "model::present", skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(default, deserialize_with = "model::present", skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EndMembers {
    lines: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CustomerMembers<R> {
    account: String,
    #[serde(rename = "CustomerID")]
    customer_id: String,
    version: String,
    created: String,
    updated: String,
    record: R,
}

pub(super) fn write_key(key: SigningKey, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    let SigningKey { key_id, account, algorithm, public_key, created, scope, expires, revoked } = key;
    let (account, created) = (account.to_string(), created.to_string());
    let scope = (scope != Scope::default()).then(|| scope.to_string());
    let [expires, revoked] = [expires, revoked].map(|time| time.map(|time| time.to_string()));
    let members = KeyMembers { account, key_id, algorithm, public_key, created, scope, expires, revoked };
    write_line("Key", &members, lines)
}

/// Appends the line of a customer with these fields.
pub(super) fn write_customer(
    account: &Account,
    stored: &StoredCustomer,
    record: &RawValue,
    lines: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let StoredCustomer { customer_id, record: _, version, created, updated } = stored;
    let (account, customer_id, version) = (account.to_string(), customer_id.to_string(), version.to_string());
    let (created, updated) = (created.to_string(), updated.to_string());
    let members = CustomerMembers { account, customer_id, version, created, updated, record };
    write_line("Customer", &members, lines)
}

pub(super) fn write_end(number: u64, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    write_line("End", &EndMembers { lines: number }, lines)
}

/// Reads a line, or says what is wrong with it.
pub(super) fn read(line: &[u8]) -> Result<Entry, Vec<String>> {
    match serde_json::from_slice(line) {
        Ok(Members::Key(members)) => key(&members).map(Entry::Key),
        Ok(Members::Customer(members)) => Ok(Entry::Customer(identity(&members)?, members.record)),
        Ok(Members::Signature(members)) => event_lines::signature(&members).map(Entry::Signature),
        Ok(Members::Pruned(members)) => event_lines::pruned(&members).map(Entry::Event),
        Ok(Members::Event(members)) => event_lines::event(members).map(Entry::Event),
        Ok(Members::End(EndMembers { lines })) => Ok(Entry::End(lines)),
        Err(_) => Err(explain(line)),
    }
}

/// What is wrong with a line that was refused.
fn explain(line: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Members<Value>>(line) {
        Ok(Members::Customer(members)) => {
            let mut faults = identity(&members).err().unwrap_or_default();
            let violations = contract::explain("CustomerInput", members.record.to_string().as_bytes());
            if violations.is_empty() {
                faults.push("a member of the record is given twice".to_owned());
            }
            faults.extend(violations.iter().map(describe));
            faults
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![match serde_json::from_slice::<IgnoredAny>(line) {
            Ok(_) => without_values(&error),
            Err(error) => format!("is not valid JSON at column {}", error.column()),
        }],
    }
}

/// An error about valid JSON, as far as it repeats nothing of the line.
fn without_values(error: &JsonError) -> String {
    let text = error.to_string();
    let own = ["missing field", "duplicate field"].into_iter().find(|own| text.starts_with(own));
    match own.and_then(|_| text.split(" at line").next()) {
        Some(message) => message.to_owned(),
        None if text.starts_with("unknown field") => "has an unknown member".to_owned(),
        None => {
            "must be {\"Key\": {…}}, {\"Event\": {…}} or {\"Customer\": {…}}, with the members of an export"
                .to_owned()
        }
    }
}

fn key(members: &KeyMembers) -> Result<SigningKey, Vec<String>> {
    let KeyMembers { account, key_id: id, algorithm, public_key, created, scope, expires, revoked } = members;
    let mut faults = Vec::new();
    let account: Option<Account> = parsed("Account", account, &mut faults);
    let created = timestamp("Created", created, &mut faults);
    let scope = scope.as_deref().map(|scope| parsed("Scope", scope, &mut faults));
    let expires = expires.as_deref().map(|expires| parsed("Expires", expires, &mut faults));
    let revoked = revoked.as_deref().map(|revoked| timestamp("Revoked", revoked, &mut faults));
    let id = key_id(id).map_err(|error| faults.push(format!("KeyID {error}"))).ok();
    let key = PublicKey::from_pem(public_key).map_err(|error| faults.push(format!("PublicKey: {error}")));
    let key = key.ok().filter(|key| {
        let is_same = key.algorithm().to_string() == *algorithm;
        if !is_same {
            faults.push("Algorithm is not that of the key".to_owned());
        }
        is_same
    });
    match (account, created, id, key) {
        (Some(account), Some(created), Some(key_id), Some(key)) if faults.is_empty() => Ok(SigningKey {
            key_id,
            account,
            algorithm: algorithm.clone(),
            public_key: key.to_pem().to_owned(),
            created,
            scope: scope.flatten().unwrap_or_default(),
            expires: expires.flatten(),
            revoked: revoked.flatten(),
        }),
        _ => Err(faults),
    }
}

fn identity<R>(members: &CustomerMembers<R>) -> Result<Identity, Vec<String>> {
    let CustomerMembers { account, customer_id, version, created, updated, record: _ } = members;
    let mut faults = Vec::new();
    let account = parsed("Account", account, &mut faults);
    let customer_id = parsed("CustomerID", customer_id, &mut faults);
    let version = parsed("Version", version, &mut faults);
    let created = timestamp("Created", created, &mut faults);
    let updated = timestamp("Updated", updated, &mut faults);
    if created.zip(updated).is_some_and(|(created, updated)| updated < created) {
        faults.push("Updated is before Created".to_owned());
    }
    match (account, customer_id, version, created, updated) {
        (Some(account), Some(customer_id), Some(version), Some(created), Some(updated))
            if faults.is_empty() =>
        {
            Ok(Identity { account, customer_id, version, created, updated })
        }
        _ => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        r#"{"Key":{"Account":"acme","KeyID":"k","Algorithm":"ES384","PublicKey":"x","Created":"y"}}"#;

    fn faults(line: &str) -> Vec<String> {
        read(line.as_bytes()).err().unwrap()
    }

    #[test]
    fn a_line_that_is_refused_is_explained_without_its_values() {
        for (line, fault) in [
            ("", "is not valid JSON at column 0"),
            ("{", "is not valid JSON at column 1"),
            ("\u{feff}{}", "is not valid JSON at column 1"),
            (r#"{"Key":{}} {}"#, "is not valid JSON at column 12"),
            (r#"{"Mia":{}}"#, "must be {\"Key\": {…}}, {\"Event\": {…}} or"),
            (r#""Key""#, "must be {\"Key\": {…}}, {\"Event\": {…}} or"),
            (r#"["Key"]"#, "must be {\"Key\": {…}}, {\"Event\": {…}} or"),
            (r#"{"Key":["acme","k","ES384","x","y"]}"#, "must be {\"Key\": {…}}, {\"Event\": {…}} or"),
            (r#"{"Key":{"Mia":1}}"#, "has an unknown member"),
            (r#"{"Customer":{"Account":"a","Account":"a"}}"#, "duplicate field `Account`"),
            (r#"{"Customer":{"Account":"a","Record":"Mia"}}"#, "missing field `CustomerID`"),
            (r#"{"Customer":{"Account":1}}"#, "must be {\"Key\": {…}}, {\"Event\": {…}} or"),
            (&format!("{KEY}{KEY}"), "is not valid JSON at column 89"),
            (KEY, "Created: must be a time of RFC 3339"),
            (KEY, "PublicKey: the key is not in PEM format"),
        ] {
            let faults = faults(line);
            assert!(faults.iter().any(|found| found.starts_with(fault)), "{line}: {faults:?}");
            assert!(!faults.concat().contains("Mia"), "{line}: {faults:?}");
        }
    }
}
