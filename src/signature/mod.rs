//! `Api-Signature`: a JWS-compact JWT (RFC 7515, RFC 7519) that proves who sent exactly these bytes.
//!
//! It follows RFC 8725: the key decides the algorithm, never the token (3.1); the only algorithms are ECDSA on the NIST
//! curves P-384 and P-256 (3.2); keys in the token's own header are ignored (3.10); a token is bound to its audience,
//! time, method, path, query and body (3.8, 3.9). Nothing here knows customers, HTTP or the store.

mod algorithm;
mod claims;
mod encoding;
mod facts;
mod key;
mod keyring;
mod refusal;
mod sign;
mod verify;
mod wording;

pub use algorithm::Algorithm;
pub(crate) use encoding::InvalidKey;
pub use facts::{EXPIRY_SECONDS_MAX, Facts};
pub use key::{PrivateKey, PublicKey};
pub use keyring::{Key, Keyring};
pub use refusal::{Refusal, RefusalKind, Violation};
pub use sign::sign;
pub use verify::{SIGNATURE_BYTES_MAX, Verified, verify};
