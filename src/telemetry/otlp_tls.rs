//! TLS to a collector: whose certificates are trusted, and what the service shows of itself.
//!
//! Everything is tried at the start, because the library panics later over a key that does not belong to its certificate.

use std::{fmt::Display, fs, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::variables::{InvalidTraces, set_of};

/// The variables that name a file in PEM format, as OpenTelemetry has them.
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];

const CLIENT_CERTIFICATES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];

const CLIENT_KEYS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

const ONE_ALONE: &str =
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together";

/// A variable, and what its file holds.
type Named = (&'static str, Vec<u8>);

/// The TLS that the variables ask for: by default the authorities of the system, and no certificate of the service's own.
pub(super) fn tls_config() -> Result<TlsConfig, InvalidTraces> {
    let builder = TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(default_provider()));
    let roots = match read(&CERTIFICATES)? {
        Some(file) => RootCerts::new_with_certs(&trusted(&file)?),
        None => RootCerts::PlatformVerifier,
    };
    let client = match (read(&CLIENT_CERTIFICATES)?, read(&CLIENT_KEYS)?) {
        (Some(certificate), Some(key)) => Some(client(&certificate, &key)?),
        (None, None) => None,
        _ => return Err(InvalidTraces(ONE_ALONE.to_owned())),
    };
    Ok(builder.root_certs(roots).client_cert(client).build())
}

fn read(names: &[&'static str]) -> Result<Option<Named>, InvalidTraces> {
    let Some((variable, file)) = set_of(names) else { return Ok(None) };
    let bytes = fs::read(file).map_err(|error| fault(variable, format!("cannot be read: {error}")))?;
    Ok(Some((variable, bytes)))
}

fn fault(variable: &str, fault: impl Display) -> InvalidTraces {
    InvalidTraces(format!("the file that {variable} names {fault}"))
}

/// The certificates of a file: at least one.
fn certificates((variable, bytes): &Named) -> Result<Vec<CertificateDer<'static>>, InvalidTraces> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
    certificates.ok_or_else(|| fault(variable, "holds no certificate in PEM format"))
}

fn trusted(file: &Named) -> Result<Vec<Certificate<'static>>, InvalidTraces> {
    let (variable, _) = file;
    let (certificates, mut roots) = (certificates(file)?, RootCertStore::empty());
    for certificate in &certificates {
        let added = roots.add(certificate.clone());
        added.map_err(|error| {
            fault(variable, format!("holds a certificate that cannot be trusted: {error}"))
        })?;
    }
    Ok(certificates.iter().map(for_ureq).collect())
}

fn client(certificate: &Named, key: &Named) -> Result<ClientCert, InvalidTraces> {
    let chain = certificates(certificate)?;
    let (variable, bytes) = key;
    let no_key = || fault(variable, "holds no private key in PEM format (BEGIN PRIVATE KEY, not encrypted)");
    let shown = PrivateKey::from_pem(bytes).map_err(|_| no_key())?;
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|_| no_key())?;
    let used = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(RootCertStore::empty()))
        .and_then(|builder| builder.with_client_auth_cert(chain.clone(), key));
    used.map_err(|error| fault(variable, format!("cannot be used with the client's certificate: {error}")))?;
    let chain: Vec<_> = chain.iter().map(for_ureq).collect();
    Ok(ClientCert::new_with_certs(&chain, shown))
}

fn for_ureq(certificate: &CertificateDer<'_>) -> Certificate<'static> {
    Certificate::from_der(certificate).to_owned()
}
