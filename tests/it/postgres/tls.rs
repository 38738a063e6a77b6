//! `sslmode` and `sslrootcert`.

use std::{fs, time::Duration};

use actix_web::rt::time::sleep;
use customers_api::store::{Access, Store};

use super::{Condition, put};
use crate::{
    postgres_cluster::{Cluster, connect},
    support::certify,
};

/// A cluster whose certificate names `localhost` alone, and beside it the certificates of its CA and of another one.
fn cluster() -> Cluster {
    const FILES: [&str; 4] = ["server.crt", "server.key", "right.crt", "wrong.crt"];
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path(), "right", &[]);
    certify(directory.path(), "wrong", &[]);
    let names = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
    certify(directory.path(), "server", &[&["-CA", "right.crt", "-CAkey", "right.key"], &names[..]].concat());
    let files = FILES.map(|name| (name, fs::read_to_string(directory.path().join(name)).unwrap()));
    Cluster::with_files(
        "ssl = on\nssl_cert_file = '{directory}/server.crt'\nssl_key_file = '{directory}/server.key'",
        &files.each_ref().map(|(name, text)| (*name, text.as_str())),
    )
}

/// Whether a store that was opened in this way speaks TLS; `None` if it was refused.
async fn speaks_tls(cluster: &Cluster, host: &str, parameters: &str) -> Option<bool> {
    let directory = cluster.directory().to_str().unwrap();
    let parameters = parameters.replace("{directory}", directory);
    let url = format!("postgres://postgres@{host}:{}/postgres?{parameters}", cluster.port());
    let store = Store::open(&url.parse().unwrap(), Access::Create).await.ok()?;
    put(&store, "c-1", Condition::Always).await.unwrap();
    let client = connect(&cluster.url("postgres")).await;
    let sessions = "SELECT bool_and(ssl) = bool_or(ssl), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity \
        USING (pid) WHERE application_name = 'customers-api'";
    let row = client.query_one(sessions, &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "all sessions or none");
    drop(store);
    // The next one's are counted alone.
    let left = "SELECT FROM pg_stat_activity WHERE application_name = 'customers-api'";
    while !client.query(left, &[]).await.unwrap().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    Some(row.get(1))
}

#[actix_web::test]
async fn the_server_is_verified_as_far_as_sslmode_says() {
    const RIGHT: &str = "sslrootcert={directory}/right.crt";
    const WRONG: &str = "sslrootcert={directory}/wrong.crt";
    let cluster = cluster();
    for (host, mode, authority, expected, reason) in [
        ("localhost", "verify-full", RIGHT, Some(true), "its CA signed it, and it names the host"),
        ("localhost", "verify-full", WRONG, None, "another CA signed it"),
        ("127.0.0.1", "verify-full", RIGHT, None, "it does not name this host"),
        ("127.0.0.1", "verify-ca", RIGHT, Some(true), "the name does not matter"),
        ("127.0.0.1", "verify-ca", WRONG, None, "another CA signed it"),
        ("127.0.0.1", "require", "", Some(true), "anybody will do"),
        ("127.0.0.1", "require", RIGHT, Some(true), "a CA that is given counts"),
        ("127.0.0.1", "require", WRONG, None, "a CA that is given counts"),
        ("127.0.0.1", "prefer", "", Some(true), "the server can"),
        ("127.0.0.1", "prefer", WRONG, None, "there is no way back to plain text"),
        ("127.0.0.1", "disable", "", Some(false), "plain text is asked for"),
        ("127.0.0.1", "require", "sslrootcert={directory}/none.crt", None, "there is no such file"),
    ] {
        let found = speaks_tls(&cluster, host, &format!("sslmode={mode}&{authority}")).await;
        assert_eq!(found, expected, "{host} {mode} {authority}: {reason}");
    }
}

#[actix_web::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let cluster = Cluster::start("");
    for (host, mode, expected) in [
        ("127.0.0.1", "require", None),
        ("127.0.0.1", "prefer", Some(false)),
        // A socket of the machine needs no TLS.
        (&cluster.directory().to_str().unwrap().replace('/', "%2F"), "require", Some(false)),
    ] {
        assert_eq!(speaks_tls(&cluster, host, &format!("sslmode={mode}")).await, expected, "{host} {mode}");
    }
}
