use super::base_path::BasePath;

/// The longest body that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "Api-Signature";

/// What the operator decides about the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `aud` of every signature.
    pub audience: String,
    /// The prefix of the contract's paths.
    pub base_path: BasePath,
    /// Whether requests without a signature are accepted.
    pub sandbox: bool,
}
