//! The lines of an export that are about changes: signatures that carried out one, and events.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{
    keys::key_id,
    members::{parsed, timestamp},
};
use crate::{
    account::Account,
    model::{self, EventType, Timestamp},
    signature_id::SignatureId,
    store::{Cursor, Event, Moved, MovedEvent, Outcome, StoredEvent, UsedSignature, Version},
};

/// A signature that carried out a write. The version is there if the outcome has one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SignatureMembers {
    hash: String,
    expires: i64,
    outcome: OutcomeName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum OutcomeName {
    Created,
    Updated,
    ConditionFailed,
    Deleted,
    NotFound,
}

/// The last event that was pruned.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PrunedMembers {
    account: String,
    position: i64,
    #[serde(rename = "EventID")]
    event_id: String,
    occurred: String,
}

/// An event as it is written.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventLine<'a> {
    account: &'a str,
    position: i64,
    #[serde(flatten)]
    event: model::Event,
}

/// The same as it is read. No member is checked yet, so that all faults are told.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct EventMembers {
    account: String,
    position: i64,
    #[serde(rename = "EventID")]
    event_id: String,
    event_type: EventType,
    occurred: String,
    #[serde(rename = "CustomerID")]
    customer_id: String,
    version: Option<String>,
    previous: Option<String>,
    #[serde(rename = "KeyID")]
    key_id: Option<String>,
}

pub(super) fn write_signature(used: &UsedSignature, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    let UsedSignature { signature: SignatureId { expires_at, hash }, outcome } = used;
    let (outcome, version) = match outcome {
        Outcome::Created(version) => (OutcomeName::Created, Some(version.to_string())),
        Outcome::Updated(version) => (OutcomeName::Updated, Some(version.to_string())),
        Outcome::ConditionFailed => (OutcomeName::ConditionFailed, None),
        Outcome::Deleted => (OutcomeName::Deleted, None),
        Outcome::NotFound => (OutcomeName::NotFound, None),
    };
    let members =
        SignatureMembers { hash: Version::from(*hash).to_string(), expires: *expires_at, outcome, version };
    write_line("Signature", &members, lines)
}

/// Appends the line of the last event of an account that was pruned.
pub(super) fn write_pruned(account: &Account, last: &Cursor, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    let Cursor { position, id, occurred } = last;
    let occurred = Timestamp::from_micros(*occurred).context("the timestamp of an event is out of range")?;
    let members = PrunedMembers {
        account: account.to_string(),
        position: *position,
        event_id: id.to_string(),
        occurred: occurred.to_string(),
    };
    write_line("Pruned", &members, lines)
}

/// Appends the line of an event; without `{"Event": …}` around it, if it stands among events alone.
pub(super) fn write_event(
    account: &str,
    stored: &StoredEvent,
    is_alone: bool,
    lines: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let event = stored.clone().try_into().map_err(anyhow::Error::msg)?;
    let line = EventLine { account, position: stored.position, event };
    if is_alone {
        serde_json::to_writer(&mut *lines, &line)?;
        lines.push(b'\n');
        return Ok(());
    }
    write_line("Event", &line, lines)
}

/// Appends a line with one member, which has these.
pub(super) fn write_line(name: &str, members: &impl Serialize, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    lines.extend_from_slice(format!("{{\"{name}\":").as_bytes());
    serde_json::to_writer(&mut *lines, members)?;
    lines.extend_from_slice(b"}\n");
    Ok(())
}

pub(super) fn signature(members: &SignatureMembers) -> Result<UsedSignature, Vec<String>> {
    let SignatureMembers { hash, expires, outcome, version } = members;
    let mut faults = Vec::new();
    let hash: Option<Version> = parsed("Hash", hash, &mut faults);
    let version = version.as_deref().map(|version| parsed("Version", version, &mut faults));
    let outcome = match (outcome, version.flatten()) {
        (OutcomeName::Created, Some(version)) => Some(Outcome::Created(version)),
        (OutcomeName::Updated, Some(version)) => Some(Outcome::Updated(version)),
        (OutcomeName::ConditionFailed, None) => Some(Outcome::ConditionFailed),
        (OutcomeName::Deleted, None) => Some(Outcome::Deleted),
        (OutcomeName::NotFound, None) => Some(Outcome::NotFound),
        _ => None,
    };
    if outcome.is_none() && faults.is_empty() {
        faults.push("Version does not go with Outcome".to_owned());
    }
    match (hash, outcome) {
        (Some(hash), Some(outcome)) if faults.is_empty() => Ok(UsedSignature {
            signature: SignatureId { expires_at: *expires, hash: hash.into_bytes() },
            outcome,
        }),
        _ => Err(faults),
    }
}

pub(super) fn pruned(members: &PrunedMembers) -> Result<MovedEvent, Vec<String>> {
    let PrunedMembers { account, position, event_id, occurred } = members;
    let mut faults = Vec::new();
    let account = parsed("Account", account, &mut faults);
    let id = parsed("EventID", event_id, &mut faults);
    let occurred = timestamp("Occurred", occurred, &mut faults);
    let position = valid_position(*position, &mut faults);
    match (account, id, occurred, position) {
        (Some(account), Some(id), Some(occurred), Some(position)) => {
            let last = Cursor { position, id, occurred: occurred.micros() };
            Ok(MovedEvent { account, moved: Moved::Pruned(last) })
        }
        _ => Err(faults),
    }
}

pub(super) fn event(members: EventMembers) -> Result<MovedEvent, Vec<String>> {
    let EventMembers {
        account,
        position,
        event_id,
        event_type,
        occurred,
        customer_id,
        version,
        previous,
        key_id: key,
    } = members;
    let mut faults = Vec::new();
    let account = parsed("Account", &account, &mut faults);
    let id: Option<Version> = parsed("EventID", &event_id, &mut faults);
    let occurred = timestamp("Occurred", &occurred, &mut faults);
    let customer_id = parsed("CustomerID", &customer_id, &mut faults);
    let version: Option<Version> = version.and_then(|version| parsed("Version", &version, &mut faults));
    let previous = previous.and_then(|previous| parsed("Previous", &previous, &mut faults));
    let key = key.and_then(|key| key_id(&key).map_err(|error| faults.push(format!("KeyID {error}"))).ok());
    let position = valid_position(position, &mut faults);
    if version != id.filter(|_| event_type != EventType::CustomerDeleted) {
        faults.push("Version is not that of the event".to_owned());
    }
    match (account, id, occurred, customer_id, position) {
        (Some(account), Some(id), Some(occurred), Some(customer_id), Some(position)) if faults.is_empty() => {
            let event = Event { id, event_type, occurred: occurred.micros(), previous, key_id: key };
            Ok(MovedEvent { account, moved: Moved::Event(StoredEvent { position, customer_id, event }) })
        }
        _ => Err(faults),
    }
}

fn valid_position(position: i64, faults: &mut Vec<String>) -> Option<i64> {
    if position < 1 {
        faults.push("Position is less than 1".to_owned());
    }
    (position >= 1).then_some(position)
}
