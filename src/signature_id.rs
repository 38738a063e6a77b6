//! What tells one signature from another.

/// How many bytes of SHA-256 identify what was signed.
pub const SIGNATURE_HASH_BYTES: usize = 16;

/// Identifies what was signed and the key that signed it. All copies of a request have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureId {
    /// When the signature expires, in Unix seconds.
    pub expires_at: i64,
    /// The hash of the key and of the signed text.
    pub hash: [u8; SIGNATURE_HASH_BYTES],
}

/// What proves who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The signature.
    pub signature: SignatureId,
    /// The id of the key that made it.
    pub key_id: String,
}
