//! The one seam through which randomness comes, except for the generation of keys.

use uuid::Uuid;

/// 122 random bits, from a generator that the operating system seeds, as an RFC 9562 version 4 UUID.
#[allow(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
pub fn uuid() -> Uuid {
    Uuid::new_v4()
}

/// Random bytes for secrets, from the generator of the cryptographic library.
///
/// # Panics
/// If the operating system gives no randomness.
#[allow(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
#[allow(
    clippy::expect_used,
    reason = "AWS-LC aborts the process when the operating system gives no randomness"
)]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("AWS-LC has randomness");
    bytes
}
