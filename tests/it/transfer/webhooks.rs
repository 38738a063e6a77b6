//! Endpoints of webhooks stay where they are, and nobody is surprised by that.

use std::{fs, os::unix::fs::PermissionsExt as _};

use customers_api::record::generate_key_line;

use super::{line, ndjson, run, succeeds};
use crate::support::{Engine, on_each_engine};

async fn an_export_says_how_many_endpoints_it_leaves_out(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("seal-keys");
    fs::write(&keys, &*generate_key_line("k1")).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let sealed = ["--seal-keys", keys.to_str().unwrap()];
    let database = engine.database().await;
    succeeds(&database, &[&["import"][..], &sealed].concat(), &ndjson(&[line("c-1")])).await;
    let export = async |of: &[&str]| {
        let exported = run(&database, &[&["export"], of, &sealed].concat(), b"").await;
        let said = String::from_utf8(exported.stderr).unwrap();
        assert!(exported.status.success(), "{said}");
        (String::from_utf8(exported.stdout).unwrap(), said)
    };
    let (lines, said) = export(&[]).await;
    assert!(!said.contains("webhooks"), "{said}");

    for account in ["acme", "acme", "other"] {
        let add = ["webhooks", "add", "--account", account, "--url", "http://127.0.0.1:1/hook"];
        succeeds(&database, &[&add[..], &["--webhook-allow", "127.0.0.1"], &sealed].concat(), b"").await;
    }
    for (of, endpoints) in [(&[][..], 3), (&["--account", "acme"], 2)] {
        let (exported, said) = export(of).await;
        assert_eq!(exported, lines, "the lines are the same");
        let note = format!("note: endpoints of webhooks are left out: {endpoints}; ");
        assert_eq!(said.lines().filter(|line| line.starts_with(&note)).count(), 1, "{said}");
    }
}

on_each_engine! { an_export_says_how_many_endpoints_it_leaves_out }
