//! Commands that are killed, and an import beside a service that others write to.

use std::{
    cell::Cell,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::Stdio,
};

use super::{export, line, ndjson, run, succeeds};
use crate::support::{Engine, TestApi, command, eventually, mia, on_each_engine};

fn customers(many: usize) -> Vec<serde_json::Value> {
    (0..many)
        .map(|number| {
            let mut line = line(&format!("c-{number:04}"));
            line["Customer"]["Version"] = format!("{:032x}", number + 1).into();
            line
        })
        .collect()
}

async fn an_import_that_was_killed_can_be_repeated(engine: Engine) {
    const SENT: usize = 2500;
    let (database, lines) = (engine.database().await, customers(3500));
    drop(database.open().await);
    let mut import = command()
        .args(["import", "--database-url", &database.url])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It waits for the rest when it is killed.
    let mut input = import.stdin.take().unwrap();
    input.write_all(&ndjson(&lines[..SENT])).unwrap();
    input.write_all(b"\n").unwrap();
    eventually("two batches are written", || async { database.count("customers").await >= 2000 }).await;
    import.kill().unwrap();
    import.wait().unwrap();
    let there = database.count("customers").await;
    assert_eq!(there, 2000, "a batch is written whole");
    for (written, there) in [(1500, 2000), (0, 3500)] {
        let said = succeeds(&database, &["import"], &ndjson(&lines)).await;
        let expected = format!(
            "imported {written} customers and 0 keys; {there} customers and 0 keys were there already\n"
        );
        assert_eq!(said, expected);
    }
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(export(&database, &[]).await, lines, "nothing is lost, and nothing is there twice");
}

async fn an_export_stops_when_nobody_reads_it_any_more(engine: Engine) {
    let database = engine.database().await;
    succeeds(&database, &["import"], &ndjson(&customers(2000))).await;
    let mut export = command()
        .args(["export", "--database-url", &database.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(export.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"Event\":"));
    let status = export.wait().unwrap();
    let mut said = String::new();
    export.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

async fn a_service_is_read_and_written_while_customers_are_imported_and_exported(engine: Engine) {
    let imported = ndjson(&customers(5000));
    let api = TestApi::start(engine).await;
    let (is_over, database) = (Cell::new(false), api.database.shared());
    let writes = async {
        let mut written = 0;
        while !is_over.get() {
            api.put(&format!("own-{written}"), &mia()).send().await.expect(201);
            api.get(&format!("own-{written}")).send().await.expect(200);
            written += 1;
        }
        written
    };
    let transfer = async {
        succeeds(&database, &["import"], &imported).await;
        let exported = export(&database, &[]).await.len();
        is_over.set(true);
        exported
    };
    let (written, exported) = futures_util::future::join(writes, transfer).await;
    assert!(written > 0 && (5001..=5001 + written).contains(&exported), "{written}, {exported}");
    let all = run(&database, &["export"], b"").await;
    let all = String::from_utf8(all.stdout).unwrap();
    let count = |kind: &str| all.lines().filter(|line| line.starts_with(&format!("{{\"{kind}\""))).count();
    assert_eq!(count("Customer"), 5000 + written, "what was imported, and what was put");
    assert_eq!(count("Event"), 5000 + written, "each has its event");
}

on_each_engine! {
    an_import_that_was_killed_can_be_repeated,
    an_export_stops_when_nobody_reads_it_any_more,
    a_service_is_read_and_written_while_customers_are_imported_and_exported,
}
