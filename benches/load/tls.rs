//! TLS 1.3 towards the server: a certificate of its own, and a client that trusts no other.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::certificates::certify;

/// A certificate with its key, as files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes one for P-256, as most certificates of today are.
    pub(crate) fn make(directory: &Path) -> Self {
        let words = ["subjectAltName=DNS:localhost", "basicConstraints=critical,CA:FALSE"];
        certify(directory, "localhost", &words.map(|word| ["-addext", word]).concat());
        Self { certificate: directory.join("localhost.crt"), key: directory.join("localhost.key") }
    }
}

/// The client's side.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Each handshake is a full one: no session is resumed.
    pub(crate) fn trusting(certificate: &Certificate) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fs::read(&certificate.certificate)?)?)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) async fn connect(&self, stream: TcpStream) -> anyhow::Result<TlsStream<TcpStream>> {
        Ok(self.0.connect(ServerName::try_from("localhost")?, stream).await?)
    }
}
