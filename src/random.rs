//! The one seam through which randomness comes, save for key generation.

use uuid::Uuid;

/// 122 random bits, from a generator that the operating system seeds, as an RFC 9562 version 4 UUID.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
pub fn uuid() -> Uuid {
    Uuid::new_v4()
}
