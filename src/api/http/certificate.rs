//! The certificate that the server presents, and its private key.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
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
use tokio::time::sleep;

use crate::telemetry::chain;

/// How often the files are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

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
    first_seen: Seen,
    current: ArcSwap<CertifiedKey>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What changes when one of the files is written, replaced or gets other permissions; `None` for a file that is not there.
type Seen = [Option<(u64, u64, u64, i64, i64)>; 2];

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCertificate {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file of the key can be read by others.
    #[error("{} can be read by others: run `chmod 600` on it", .0.display())]
    ReadableByOthers(PathBuf),
    /// There is no certificate in the file.
    #[error("{} is not a certificate in PEM format (BEGIN CERTIFICATE)", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in the file.
    #[error("{} is not a private key in PEM format (BEGIN PRIVATE KEY, not encrypted)", .0.display())]
    NoKey(PathBuf),
    /// Each file is good, but they do not belong together.
    #[error("the key {} does not belong to the certificate {}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The library cannot use them.
    #[error("cannot use {} with the key {}: {error}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What the library says.
        error: rustls::Error,
    },
}

impl Certificate {
    /// Reads both files.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, InvalidCertificate> {
        let files = Files { certificate, key };
        // Before the files are read, so that no change is missed.
        let first_seen = files.look();
        let current = ArcSwap::from_pointee(files.read()?);
        Ok(Self(Arc::new(Shared { files, first_seen, current })))
    }

    /// Takes over each change of the files, while the server runs. Files that cannot be used are logged once, and the
    /// certificate of before is kept.
    pub async fn follow_files(&self) -> Infallible {
        let Shared { files, first_seen, current } = &*self.0;
        let mut seen = *first_seen;
        let mut read = *first_seen;
        loop {
            sleep(WATCH_INTERVAL).await;
            let now = files.look();
            // The two files are often written one after the other: they are read when they have not changed for a while.
            let is_settled = now == seen;
            seen = now;
            if !is_settled || now == read {
                continue;
            }
            read = now;
            let file = files.certificate.display();
            match files.read() {
                Ok(pair) => {
                    current.store(Arc::new(pair));
                    tracing::info!(%file, "the TLS certificate was read again");
                }
                Err(error) => {
                    tracing::error!(cause = %chain(&error), "the previous TLS certificate is kept");
                }
            }
        }
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
    fn look(&self) -> Seen {
        [&self.certificate, &self.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
        })
    }

    fn read(&self) -> Result<CertifiedKey, InvalidCertificate> {
        let Self { certificate, key } = self;
        let chain = read_chain(certificate)?;
        let private_key = read_key(key)?;
        CertifiedKey::from_der(chain, private_key, &default_provider()).map_err(|error| {
            let (certificate, key) = (certificate.clone(), key.clone());
            match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    InvalidCertificate::Mismatch { certificate, key }
                }
                error => InvalidCertificate::Unusable { certificate, key, error },
            }
        })
    }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidCertificate> {
    let no_certificate = || InvalidCertificate::NoCertificate(file.to_owned());
    let invalid = |error| unreadable(file, error).unwrap_or_else(no_certificate);
    let certificates = CertificateDer::pem_file_iter(file).map_err(invalid)?;
    let chain: Vec<_> = certificates.collect::<Result<_, _>>().map_err(invalid)?;
    if chain.is_empty() { Err(no_certificate()) } else { Ok(chain) }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, InvalidCertificate> {
    /// What a file of root may allow besides, as with Postgres: a service reads it as a member of its group.
    const OF_ROOT: u32 = 0o037;
    const OF_OTHERS: u32 = 0o077;
    let metadata = fs::metadata(file)
        .map_err(|error| InvalidCertificate::Unreadable { file: file.to_owned(), error })?;
    let refused = if metadata.uid() == 0 { OF_ROOT } else { OF_OTHERS };
    if metadata.mode() & refused != 0 {
        return Err(InvalidCertificate::ReadableByOthers(file.to_owned()));
    }
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        unreadable(file, error).unwrap_or_else(|| InvalidCertificate::NoKey(file.to_owned()))
    })
}

/// The error of the system, if it was one.
fn unreadable(file: &Path, error: PemError) -> Option<InvalidCertificate> {
    match error {
        PemError::Io(error) => Some(InvalidCertificate::Unreadable { file: file.to_owned(), error }),
        _ => None,
    }
}
