//! Signatures as Standard Webhooks 1.0 has them: HMAC-SHA256 over the id, the time and the body.

use std::{fmt, str::FromStr};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::random;

/// What a secret begins with when it is shown.
const PREFIX: &str = "whsec_";

/// How long a new secret is.
const SECRET_BYTES: usize = 32;

/// How short and how long a secret may be, by the standard.
const SECRET_BYTES_MIN: usize = 24;
const SECRET_BYTES_MAX: usize = 64;

/// Signs the requests to an endpoint. Its receiver has the same secret. It is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// This is not a secret of Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a webhook secret: `whsec_` and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl Secret {
    /// A new secret of random bytes.
    #[must_use]
    pub fn random() -> Self {
        let bytes = Zeroizing::new(random::bytes::<SECRET_BYTES>());
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The secret of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The bytes, as they are sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text that the receiver gets.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        // With room for all of it, no part stays behind in memory that was too small.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + self.0.len() * 2));
        text.push_str(PREFIX);
        BASE64_STANDARD.encode_string(&*self.0, &mut text);
        text
    }

    /// The signature of a request at this time, in Unix seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        signing.update(format!("{id}.{timestamp}.").as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(signing.sign()))
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        Self::from_bytes(&Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// The value of `webhook-signature`: the signatures by all secrets that are valid, the newest first.
#[must_use]
pub fn signatures<'a>(
    newest_first: impl IntoIterator<Item = &'a Secret>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    let signatures: Vec<_> =
        newest_first.into_iter().map(|secret| secret.sign(id, timestamp, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_signature_is_that_of_the_standard() {
        let secret: Secret = SECRET.parse().unwrap();
        assert_eq!(secret.sign(ID, TIMESTAMP, BODY), SIGNATURE);
        assert_ne!(secret.sign("msg_1", TIMESTAMP, BODY), SIGNATURE, "another id");
        assert_ne!(secret.sign(ID, TIMESTAMP + 1, BODY), SIGNATURE, "another time");
        assert_ne!(secret.sign(ID, TIMESTAMP, b"{}"), SIGNATURE, "another body");
    }

    #[test]
    fn every_valid_secret_signs_the_newest_first() {
        let (old, new): (Secret, _) = (SECRET.parse().unwrap(), Secret::random());
        let expected = format!("{} {SIGNATURE}", new.sign(ID, TIMESTAMP, BODY));
        assert_eq!(signatures([&new, &old], ID, TIMESTAMP, BODY), expected);
        assert_eq!(signatures([&old], ID, TIMESTAMP, BODY), SIGNATURE);
    }

    #[test]
    fn a_secret_is_the_same_after_it_was_shown_or_kept() {
        let secret = Secret::random();
        assert_eq!(secret.as_bytes().len(), SECRET_BYTES);
        let shown: Secret = secret.reveal().parse().unwrap();
        assert_eq!(shown.as_bytes(), secret.as_bytes());
        assert_eq!(Secret::from_bytes(secret.as_bytes()).unwrap().as_bytes(), secret.as_bytes());
        assert_eq!(*SECRET.parse::<Secret>().unwrap().reveal(), *SECRET);
        assert_ne!(Secret::random().as_bytes(), secret.as_bytes());
    }

    #[test]
    fn what_is_not_a_secret_is_refused() {
        let bytes = |count| format!("{PREFIX}{}", BASE64_STANDARD.encode(vec![7; count]));
        for (text, is_one) in [
            (bytes(SECRET_BYTES_MIN), true),
            (bytes(SECRET_BYTES_MAX), true),
            (bytes(SECRET_BYTES_MIN - 1), false),
            (bytes(SECRET_BYTES_MAX + 1), false),
            (bytes(32).replace('=', ""), false),
            (SECRET.replace(PREFIX, ""), false),
            (SECRET.replace(PREFIX, "whpk_"), false),
            (format!("{SECRET}\n"), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<Secret>().is_ok(), is_one, "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_written_by_debug() {
        assert_eq!(format!("{:?}", SECRET.parse::<Secret>()), "Ok(Secret)");
    }
}
