//! The request that tells of an event.

use super::{client::Message, secrets::Signer, signing::signatures};
use crate::{clock, model::Event, store::StoredEvent};

/// The request, signed now by all secrets that are valid, which come with the newest first; `None` if there is no such secret.
#[must_use]
pub fn message(event: StoredEvent, signers: &[Signer]) -> Option<Message> {
    let now = clock::now();
    let id = event.event.id.to_string();
    let body = serde_json::to_vec(&Event::try_from(event).ok()?).ok()?;
    let valid = signers.iter().filter(|signer| signer.is_valid(now)).map(|signer| &signer.secret);
    let signatures = signatures(valid, &id, now.timestamp(), &body);
    let is_signed = !signatures.is_empty();
    is_signed.then(|| Message { id, timestamp: now.timestamp(), body: body.into(), signatures })
}
