//! Page tokens of events: the event after which to go on. A list is that of an account, or of one of its customers.
//!
//! They hold nothing of the database, so that they are good after a move, too, and nothing secret: a token opens nothing but the
//! events of the caller. What they hold is checked against the events that are there.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    account::Account,
    model::CustomerId,
    store::{Cursor, Version},
};

/// The form of the token, which may have to change once.
const FORM: u8 = 1;

const CURSOR_BYTES: usize = 8 + 16 + 8;

const CHECKSUM_BYTES: usize = 8;

/// Why a token cannot be read: it is from another list or account, or it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the PageToken of an earlier response of this list, unchanged")]
pub(super) struct InvalidFeedToken;

pub(super) fn issue(account: &Account, customer: Option<&CustomerId>, cursor: &Cursor) -> String {
    let Cursor { position, id, occurred } = cursor;
    let mut token = vec![FORM];
    token.extend_from_slice(&position.to_be_bytes());
    token.extend_from_slice(id.as_bytes());
    token.extend_from_slice(&occurred.to_be_bytes());
    let checksum = checksum(account, customer, &token);
    token.extend_from_slice(&checksum);
    BASE64_URL_SAFE_NO_PAD.encode(token)
}

/// The cursor that a token of this list stands for.
pub(super) fn read(
    account: &Account,
    customer: Option<&CustomerId>,
    token: &str,
) -> Result<Cursor, InvalidFeedToken> {
    decode(account, customer, token).ok_or(InvalidFeedToken)
}

fn decode(account: &Account, customer: Option<&CustomerId>, token: &str) -> Option<Cursor> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let cursor: &[u8; CURSOR_BYTES] = content.strip_prefix(&[FORM])?.try_into().ok()?;
    if checksum(account, customer, content) != *sum {
        return None;
    }
    let (position, rest) = cursor.split_first_chunk()?;
    let (id, occurred) = rest.split_first_chunk()?;
    let position = i64::from_be_bytes(*position);
    let occurred = i64::from_be_bytes(*occurred.first_chunk()?);
    (position >= 0).then_some(Cursor { position, id: Version::from(*id), occurred })
}

/// Over the account and the list, too. The name of an account never contains U+0000, nor does the id of a customer.
fn checksum(account: &Account, customer: Option<&CustomerId>, content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let customer = customer.map_or("", CustomerId::as_str);
    let text = [account.as_str().as_bytes(), b"\0", customer.as_bytes(), b"\0", content].concat();
    digest(&SHA256, &text).as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_by_the_list_that_made_it_and_by_no_other() {
        let (acme, other): (Account, Account) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let (one, two): (CustomerId, CustomerId) = ("c-1".parse().unwrap(), "c-2".parse().unwrap());
        let cursor = Cursor { position: 7, id: Version::new(), occurred: -1 };
        let token = issue(&acme, None, &cursor);
        assert_eq!(token.len(), 55);
        assert_eq!(read(&acme, None, &token), Ok(cursor));
        assert_eq!(read(&other, None, &token), Err(InvalidFeedToken));
        assert_eq!(read(&acme, Some(&one), &token), Err(InvalidFeedToken));
        let token = issue(&acme, Some(&one), &cursor);
        assert_eq!(read(&acme, Some(&one), &token), Ok(cursor));
        assert_eq!(read(&acme, Some(&two), &token), Err(InvalidFeedToken));
        assert_eq!(read(&acme, None, &token), Err(InvalidFeedToken));
    }

    #[test]
    fn a_token_that_was_cut_changed_or_made_up_is_refused() {
        let acme: Account = "acme".parse().unwrap();
        let token = issue(&acme, None, &Cursor::START);
        let refused = |token: &str| read(&acme, None, token) == Err(InvalidFeedToken);
        for length in 0..token.len() {
            assert!(refused(&token[..length]), "{length}");
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(refused(&BASE64_URL_SAFE_NO_PAD.encode(changed)), "{index}");
        }
        for made_up in ["", "A", "=", "é", &format!("{token}A"), &format!("{token}="), &"A".repeat(55)] {
            assert!(refused(made_up), "{made_up}");
        }
        let before = Cursor { position: -1, ..Cursor::START };
        assert!(refused(&issue(&acme, None, &before)));
    }
}
