use std::{convert::Infallible, future::pending, path::PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::api::Certificate;

/// The files for HTTPS.
#[derive(Debug, Args)]
pub(super) struct TlsOptions {
    /// The file with the certificate in PEM format, and those of its issuers after it: serve HTTPS, and nothing else
    #[arg(long, env = "CUSTOMERS_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The file with the private key of the certificate, in PEM format
    #[arg(long, env = "CUSTOMERS_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl TlsOptions {
    /// Whether HTTPS is served.
    pub(super) fn are_given(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Reads the files, if there are any.
    pub(super) fn read(self) -> anyhow::Result<Option<Certificate>> {
        let Self { tls_cert: Some(certificate), tls_key: Some(key) } = self else { return Ok(None) };
        Certificate::read(certificate, key).context("cannot serve HTTPS").map(Some)
    }
}

/// Takes over each change of the files.
pub(super) async fn follow_files(certificate: Option<&Certificate>) -> Infallible {
    match certificate {
        Some(certificate) => certificate.follow_files().await,
        None => pending().await,
    }
}
