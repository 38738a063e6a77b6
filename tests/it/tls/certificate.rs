//! The files are read again when they change, and no request is lost.

use std::{cell::Cell, fs, os::unix::fs::symlink, path::Path, process::Command, time::Duration};

use actix_web::rt;
use futures_util::future::join_all;

use super::{
    Place,
    client::{Http2, certificate},
};
use crate::support::{Client, Service, eventually, mia};

/// Connects again and again, and sends some requests each time; one connection is kept. Every request must succeed.
async fn load(place: &Place, service: &Service, number: usize, is_over: &Cell<bool>) -> usize {
    let body = mia().to_string();
    let mut sent = 0;
    let kept = Http2::connect(place.path(), &service.address).await;
    while !is_over.get() {
        let client = Http2::connect(place.path(), &service.address).await;
        let path = format!("/customers/{number}-{sent}");
        for client in [&client, &kept] {
            assert!(client.send("PUT", &path, &body).await.0 < 300);
            assert_eq!(client.send("GET", &path, "").await.0, 200);
            sent += 1;
        }
    }
    sent
}

/// Puts a pair in the place of that of the server.
fn rename(place: &Place, name: &str) {
    for kind in ["crt", "key"] {
        let next = place.file(&format!("next.{kind}"));
        fs::copy(place.file(&format!("{name}.{kind}")), &next).unwrap();
        fs::rename(next, place.file(&format!("server.{kind}"))).unwrap();
    }
}

/// Writes each file in place, the certificate first and the key a while later.
async fn write_slowly(place: &Place, name: &str) {
    for kind in ["crt", "key"] {
        let bytes = fs::read(place.file(&format!("{name}.{kind}"))).unwrap();
        fs::write(place.file(&format!("server.{kind}")), bytes).unwrap();
        rt::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn presents(place: &Place, service: &Service, name: &str) -> bool {
    let expected = certificate(&place.file(&format!("{name}.crt")));
    Http2::connect(place.path(), &service.address).await.certificate == expected
}

#[actix_web::test]
async fn a_new_pair_is_taken_and_no_request_is_lost() {
    let place = Place::new();
    for name in ["second", "third", "fourth"] {
        place.certify(name);
    }
    let service = place.start(&["--sandbox"]);
    let is_over = Cell::new(false);
    let renew = async {
        rename(&place, "second");
        eventually("a renamed pair", || presents(&place, &service, "second")).await;
        write_slowly(&place, "third").await;
        eventually("a written pair", || presents(&place, &service, "third")).await;
        rename(&place, "fourth");
        eventually("another one", || presents(&place, &service, "fourth")).await;
        is_over.set(true);
    };
    let loads = join_all((0..4).map(|number| load(&place, &service, number, &is_over)));
    let (sent, ()) = futures_util::future::join(loads, renew).await;
    assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
    let log = place.log();
    assert_eq!(log.matches("the TLS certificate and its key were read again").count(), 3, "{log}");
    assert!(!log.contains("ERROR") && !log.contains("status=4") && !log.contains("status=5"), "{log}");
}

#[actix_web::test]
async fn a_folder_that_is_swapped_by_a_link_is_noticed() {
    let place = Place::new();
    place.certify("second");
    let fill = |version: &str, name: &str| {
        fs::create_dir(place.file(version)).unwrap();
        for kind in ["crt", "key"] {
            let from = place.file(&format!("{name}.{kind}"));
            fs::copy(from, place.file(version).join(format!("tls.{kind}"))).unwrap();
        }
    };
    fill("..1", "server");
    fill("..2", "second");
    let point = |version: &str| {
        symlink(version, place.file("..next")).unwrap();
        fs::rename(place.file("..next"), place.file("..data")).unwrap();
    };
    point("..1");
    let file = |kind: &str| place.file(&format!("..data/tls.{kind}")).to_str().unwrap().to_owned();
    let (certificate, key) = (file("crt"), file("key"));
    let arguments = ["--sandbox", "--tls-cert", &certificate, "--tls-key", &key];
    let service = Service::start(&place.database_url(), &place.file("log"), &arguments);
    assert!(presents(&place, &service, "server").await);
    point("..2");
    eventually("the other folder", || presents(&place, &service, "second")).await;
}

#[actix_web::test]
async fn a_broken_pair_is_logged_once_and_kept_out() {
    type Harm = fn(&Place);
    let harms: [(&str, Harm); 5] = [
        ("does not belong to", |place| copy(&place.file("second.key"), &place.file("server.key"))),
        ("is not a certificate", |place| fs::write(place.file("server.crt"), "nonsense").unwrap()),
        ("cannot be read", |place| {
            copy(&place.file("first.crt"), &place.file("server.crt"));
            fs::remove_file(place.file("server.key")).unwrap();
        }),
        ("can be read by others", |place| {
            rename(place, "second");
            place.set_mode("server.key", 0o644);
        }),
        ("is not a private key", |place| {
            fs::write(place.file("server.key"), "").unwrap();
            place.set_mode("server.key", 0o600);
        }),
    ];
    let place = Place::new();
    place.certify("first");
    place.certify("second");
    rename(&place, "first");
    let service = place.start(&["--sandbox"]);
    for (reason, harm) in harms {
        harm(&place);
        eventually("it is logged", || async { place.log().contains(reason) }).await;
        assert!(presents(&place, &service, "first").await, "{reason}");
    }
    assert!(!place.log().contains("were read again"), "{}", place.log());
    rename(&place, "second");
    place.set_mode("server.key", 0o644);
    eventually("it is logged again", || async { place.log().matches("by others").count() == 2 }).await;
    place.set_mode("server.key", 0o600);
    eventually("it is good as soon as the mode is", || presents(&place, &service, "second")).await;
    let log = place.log();
    assert_eq!(
        log.matches("the TLS certificate and its key of before are kept").count(),
        6,
        "once for each: {log}"
    );
    assert_eq!(log.matches("ERROR").count(), 6, "{log}");
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

/// When a certificate expires, in seconds since the Unix epoch, as openssl says it.
fn expires(place: &Place, name: &str) -> f64 {
    let certificate = place.file(&format!("{name}.crt"));
    let script = "date --date \"$(openssl x509 -in \"$0\" -noout -enddate | cut -d = -f 2)\" +%s";
    let output = Command::new("sh").args(["-c", script]).arg(certificate).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

async fn shown(service: &Service) -> Option<f64> {
    let url = format!("http://{}/metrics", service.admin.as_ref().unwrap());
    let metrics = String::from_utf8(Client::new().get(url).send().await.body).unwrap();
    let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
    let value = lines.find(|(name, _)| *name == "customers_tls_certificate_expiry_timestamp_seconds")?.1;
    Some(value.parse().unwrap())
}

#[actix_web::test]
async fn the_expiry_is_logged_and_a_metric() {
    let place = Place::new();
    place.certify("second");
    let service = place.start(&["--sandbox", "--admin-listen", "127.0.0.1:0"]);
    let first = expires(&place, "server");
    eventually("it is shown", || async { shown(&service).await == Some(first) }).await;
    assert!(place.log().contains("the TLS certificate is valid until then expiry="), "{}", place.log());

    // One that has expired is better than none.
    let sign = "openssl req -new -key second.key -subj /CN=second -out second.csr && \
        echo subjectAltName=IP:127.0.0.1 > extensions && \
        openssl x509 -req -in second.csr -CA ca.crt -CAkey ca.key -days -1 -extfile extensions -out second.crt";
    let signed = Command::new("sh").args(["-c", sign]).current_dir(place.path()).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    rename(&place, "second");
    let second = expires(&place, "second");
    assert!(second < first);
    eventually("the other one is shown", || async { shown(&service).await == Some(second) }).await;
    assert!(place.log().contains("WARN the TLS certificate has expired expiry="), "{}", place.log());
}
