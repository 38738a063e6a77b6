//! What a signed request cannot do without: one verification, through the library that the server verifies with.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use customers_api::signature::{Algorithm, PrivateKey};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};

use crate::requests::token;

/// How many tokens are verified in turn.
const TOKENS: usize = 64;

/// How many verifications a second this core does, and nothing besides: the key is parsed, and the signature decoded.
pub(crate) struct Floor {
    key: ParsedPublicKey,
    tokens: Vec<(String, Vec<u8>)>,
}

impl Floor {
    pub(crate) fn new(algorithm: Algorithm) -> anyhow::Result<Self> {
        let verification: &'static EcdsaVerificationAlgorithm = match algorithm {
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        };
        let private = PrivateKey::generate(algorithm)?;
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(private.public_key()?.to_pem().as_bytes())?;
        let key = ParsedPublicKey::new(verification, &spki)?;
        let tokens = (0..TOKENS).map(|number| {
            let body = number.to_string();
            let token = token(&private, "floor", "PUT", "/customers/floor-00000000", "", body.as_bytes())?;
            let (message, signature) = token.rsplit_once('.').context("a token has a signature")?;
            Ok((message.to_owned(), BASE64_URL_SAFE_NO_PAD.decode(signature)?))
        });
        Ok(Self { key, tokens: tokens.collect::<anyhow::Result<_>>()? })
    }

    /// Verifies one of the tokens, any of them.
    pub(crate) fn verify_one(&self, number: usize) -> bool {
        let (message, signature) = &self.tokens[number % TOKENS];
        self.key.verify_sig(message.as_bytes(), signature).is_ok()
    }

    pub(crate) fn measure(&self, time: Duration) -> anyhow::Result<f64> {
        let (started, mut count) = (Instant::now(), 0_u32);
        while started.elapsed() < time {
            for number in 0..TOKENS {
                ensure!(self.verify_one(number), "a signature does not verify");
                count += 1;
            }
        }
        Ok(f64::from(count) / started.elapsed().as_secs_f64())
    }
}
