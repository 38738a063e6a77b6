//! Requests over https: which receivers are trusted, and to which addresses requests go.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use customers_api::webhooks::{Client, ClientSettings as Settings, FailureKind, Target};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::receiver::{ACCEPTED, Names, Receiver, allowed, patient, send_to};
use crate::support::certify;

const NAME: &str = "hooks.example";

const PUBLIC: &str = "93.184.216.34";

/// A certificate authority, and a receiver with its certificate.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        certify(place.0.path(), "ca", &[]);
        place
    }

    /// A receiver with a certificate of the authority for this name.
    pub(super) async fn receiver(&self, name: &str) -> Receiver {
        let names = format!("subjectAltName={name}");
        let issuer = ["-CA", "ca.crt", "-CAkey", "ca.key"];
        let words = ["-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE"];
        certify(self.0.path(), "receiver", &[issuer, words].concat());
        self.start().await
    }

    /// A receiver with a certificate that was good for a day, long ago.
    async fn expired_receiver(&self) -> Receiver {
        const AUTHORITY: &str = "[ca]\ndefault_ca = a\n[a]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\n\
                                 policy = p\nx509_extensions = x\n[p]\ncommonName = supplied\n\
                                 [x]\nsubjectAltName = DNS:hooks.example\n";
        let folder = self.0.path();
        fs::write(folder.join("authority"), AUTHORITY).unwrap();
        fs::write(folder.join("index.txt"), "").unwrap();
        let request = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=receiver \
                       -keyout receiver.key -out receiver.csr";
        let sign = "ca -batch -notext -config authority -cert ca.crt -keyfile ca.key -md sha256 -in receiver.csr \
                    -out receiver.crt -startdate 20200101000000Z -enddate 20200102000000Z";
        for words in [request, sign] {
            openssl(folder, words);
        }
        self.start().await
    }

    async fn start(&self) -> Receiver {
        let file = |name: &str| self.0.path().join(name);
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(file("receiver.crt")).unwrap()],
                PrivateKeyDer::from_pem_file(file("receiver.key")).unwrap(),
            )
            .unwrap();
        Receiver::start_tls(&[ACCEPTED], TlsAcceptor::from(Arc::new(config))).await
    }

    /// The file with the certificate of the authority.
    pub(super) fn certificate(&self) -> String {
        self.0.path().join("ca.crt").to_str().unwrap().to_owned()
    }

    /// Settings that trust the authority.
    fn trusting(&self) -> Settings {
        let root = CertificateDer::from_pem_file(self.0.path().join("ca.crt")).unwrap();
        Settings { roots: vec![root], ..patient() }
    }
}

fn openssl(folder: &Path, words: &str) {
    let made = Command::new("openssl").args(words.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn target() -> Target {
    Target::parse(&format!("https://{NAME}/hook"), &allowed(&[])).unwrap()
}

/// The kind of the failure of a request to a receiver behind a public address.
async fn failure(receiver: &Receiver, settings: Settings) -> Option<FailureKind> {
    let network = Names::new(receiver, &[&[PUBLIC]]);
    let client = Client::with(allowed(&[]), Settings { network, ..settings }).unwrap();
    send_to(&client, &target()).await.err().map(|failure| failure.kind)
}

#[actix_web::test]
async fn a_receiver_is_trusted_by_its_certificate() {
    let place = Place::new();
    let receiver = place.receiver("DNS:hooks.example").await;
    assert_eq!(failure(&receiver, place.trusting()).await, None);
    assert_eq!(
        failure(&receiver, patient()).await,
        Some(FailureKind::Tls),
        "an authority that is not trusted"
    );
    for name in ["DNS:other.example", "DNS:example", "DNS:a.hooks.example", "IP:93.184.216.34"] {
        let receiver = place.receiver(name).await;
        assert_eq!(failure(&receiver, place.trusting()).await, Some(FailureKind::Tls), "{name}");
    }
    let receiver = place.expired_receiver().await;
    assert_eq!(failure(&receiver, place.trusting()).await, Some(FailureKind::Tls), "an expired certificate");
    assert_eq!(receiver.requests(), [""; 0]);
}

#[actix_web::test]
async fn a_receiver_that_does_not_speak_tls_is_a_failure() {
    let receiver = Receiver::start(&[ACCEPTED]).await;
    assert_eq!(failure(&receiver, patient()).await, Some(FailureKind::Tls));
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 0));
}

#[actix_web::test]
async fn an_allowed_host_is_verified_as_others_are() {
    let place = Place::new();
    let good = place.receiver("IP:127.0.0.1").await;
    let wrong = place.receiver("DNS:localhost").await;
    let client = Client::with(allowed(&["127.0.0.1"]), place.trusting()).unwrap();
    for (receiver, expected) in [(good, Ok(())), (wrong, Err(FailureKind::Tls.into()))] {
        let url = format!("https://{}/", receiver.address);
        let target = Target::parse(&url, &allowed(&["127.0.0.1"])).unwrap();
        assert_eq!(send_to(&client, &target).await, expected);
    }
}

#[actix_web::test]
async fn a_request_goes_only_to_addresses_that_were_checked_for_this_connection() {
    const OTHER: &str = "93.184.216.35";
    let place = Place::new();
    let refused = Some(FailureKind::Address);
    for (look_ups, kinds, connected) in [
        (&[&[PUBLIC][..], &[OTHER]][..], [None, None], &["93.184.216.34:443", "93.184.216.35:443"][..]),
        (&[&[PUBLIC], &["127.0.0.1"]], [None, refused], &["93.184.216.34:443"]),
        (&[&[PUBLIC], &[OTHER, "10.0.0.1"]], [None, refused], &["93.184.216.34:443"]),
        (&[&[PUBLIC], &["fd00::1", OTHER]], [None, refused], &["93.184.216.34:443"]),
        (&[&["::ffff:10.0.0.1"], &[]], [refused, Some(FailureKind::Unresolved)], &[]),
    ] {
        let receiver = place.receiver("DNS:hooks.example").await;
        let names = Names::new(&receiver, look_ups);
        let network = Arc::clone(&names);
        let settings = Settings { network, connection_time_max: Duration::ZERO, ..place.trusting() };
        let client = Client::with(allowed(&[]), settings).unwrap();
        for kind in kinds {
            let failed = send_to(&client, &target()).await.err().map(|failure| failure.kind);
            assert_eq!(failed, kind, "{look_ups:?}");
        }
        assert_eq!(names.names(), [NAME, NAME], "{look_ups:?}");
        assert_eq!(names.connected_to(), connected, "{look_ups:?}");
        assert_eq!(receiver.connections(), connected.len(), "{look_ups:?}");
    }
}

#[actix_web::test]
async fn a_target_of_another_list_of_allowed_hosts_is_refused() {
    let receiver = Receiver::start(&[ACCEPTED]).await;
    let client = Client::with(allowed(&["localhost"]), patient()).unwrap();
    let failure = send_to(&client, &receiver.target("/")).await.unwrap_err();
    assert_eq!((failure, receiver.connections()), (FailureKind::Address.into(), 0));
}
