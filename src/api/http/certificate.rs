//! The certificate that the server presents, and its private key.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    InconsistentKeys, ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject as _},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_cert::der::Decode as _;

use crate::{
    clock,
    files::{Watch, read_secret},
    telemetry::CertificateExpiry,
};

/// The protocols that a client may choose, the preferred one first.
const PROTOCOLS: [&[u8]; 3] = [HTTP_2, b"http/1.1", b"http/1.0"];

/// The name of HTTP/2 in a TLS handshake.
pub(super) const HTTP_2: &[u8] = b"h2";

/// A certificate in a file and its private key in another one. Clones share what was read last.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Files,
    watch: Watch,
    current: ArcSwap<CertifiedKey>,
    expiry: CertificateExpiry,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCertificate(String);

impl Certificate {
    /// Reads both files.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, InvalidCertificate> {
        let watch = Watch::new(vec![certificate.clone(), key.clone()]);
        let files = Files { certificate, key };
        let current = ArcSwap::from_pointee(files.read()?);
        let expiry = CertificateExpiry::new().map_err(|error| InvalidCertificate(error.to_string()))?;
        Ok(Self(Arc::new(Shared { files, watch, current, expiry })))
    }

    /// When the certificate expires that was read last.
    pub fn expiry(&self) -> &CertificateExpiry {
        &self.0.expiry
    }

    /// Takes over each change of the files, while the server runs. The certificate of before is kept until both can be used.
    pub async fn follow_files(&self) -> Infallible {
        let Shared { files, watch, current, expiry } = &*self.0;
        tell_expiry(&current.load(), expiry);
        let read = async || {
            let pair = files.read()?;
            tell_expiry(&pair, expiry);
            current.store(Arc::new(pair));
            Ok::<_, InvalidCertificate>(())
        };
        watch.follow("the TLS certificate and its key", read).await
    }

    /// How connections are encrypted: TLS 1.2 and 1.3.
    pub(super) fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Shared>::clone(&self.0);
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Files {
    fn read(&self) -> Result<CertifiedKey, InvalidCertificate> {
        let chain = read_chain(&self.certificate)?;
        let key = read_key(&self.key)?;
        CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            InvalidCertificate(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    format!("the key {key} does not belong to the certificate {certificate}")
                }
                error => format!("cannot use {certificate} with the key {key}: {error}"),
            })
        })
    }
}

fn tell_expiry(pair: &CertifiedKey, shown: &CertificateExpiry) {
    let certificate = pair.cert.first().and_then(|first| x509_cert::Certificate::from_der(first).ok());
    let Some(certificate) = certificate else { return };
    let expiry = certificate.tbs_certificate.validity.not_after;
    shown.set(expiry.to_unix_duration().as_secs_f64());
    if expiry.to_system_time() < SystemTime::from(clock::now()) {
        tracing::warn!(%expiry, "the TLS certificate has expired");
    } else {
        tracing::info!(%expiry, "the TLS certificate is valid until then");
    }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidCertificate> {
    let shown = file.display();
    let chain = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Err(PemError::Io(error)) => Err(InvalidCertificate(format!("cannot read {shown}: {error}"))),
        Ok(_) | Err(_) => {
            Err(InvalidCertificate(format!("{shown} is not a certificate in PEM format (BEGIN CERTIFICATE)")))
        }
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, InvalidCertificate> {
    let shown = file.display();
    let pem = read_secret(file).map_err(|error| InvalidCertificate(format!("the key {shown} {error}")))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        InvalidCertificate(format!(
            "{shown} is not a private key in PEM format (BEGIN PRIVATE KEY, not encrypted)"
        ))
    })
}
