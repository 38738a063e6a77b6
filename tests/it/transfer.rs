//! `export` and `import`: what leaves a database and comes into another one is the same.

mod interrupted;
mod large;
mod walks;
mod webhooks;

use std::{
    fs,
    io::Write as _,
    process::{Output, Stdio},
};

use actix_web::rt::task::spawn_blocking;
use customers_api::{clock, model::Timestamp, record::generate_key_line, scope::Scope, signature::Algorithm};
use serde_json::{Value, json};

use crate::support::{Database, Engine, TestApi, command, eventually, full, mia, on_each_engine};

/// Runs a command on a database, with this standard input; the lines of an import get their end if they lack it. The test's
/// own service goes on meanwhile, whose keys would be too old after five seconds.
async fn run(database: &Database, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command();
    command.args(arguments).args(["--database-url", &database.url]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let is_open = arguments[0] == "import" && !arguments.contains(&"--allow-incomplete");
    let input = if is_open { ended(input) } else { input.to_vec() };
    // It may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    writer.join().unwrap();
    output
}

/// The lines of an import, and the last line of an export.
fn ended(lines: &[u8]) -> Vec<u8> {
    let mut ended = lines.to_vec();
    if !lines.windows(6).any(|window| window == b"{\"End\"") {
        // A blank line is not one of them, unless it is too long.
        let is_blank = |line: &[u8]| line.trim_ascii().is_empty() && line.len() < 1024;
        let number = lines.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).count();
        ended.extend_from_slice(format!("\n{{\"End\":{{\"Lines\":{number}}}}}").as_bytes());
    }
    ended
}

/// The same, which succeeds: what it printed.
async fn succeeds(database: &Database, arguments: &[&str], input: &[u8]) -> String {
    let output = run(database, arguments, input).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of keys and customers in an export, their members in the order of the alphabet. The order of accounts is the
/// engine's.
async fn export(database: &Database, arguments: &[&str]) -> Vec<String> {
    let exported = succeeds(database, &[&["export"], arguments].concat(), b"").await;
    let mut lines: Vec<String> = exported.lines().map(normal).collect();
    let end = lines.pop().unwrap();
    assert_eq!(end, json!({ "End": { "Lines": lines.len() } }).to_string());
    lines.retain(|line| line.starts_with("{\"Key\"") || line.starts_with("{\"Customer\""));
    lines.sort();
    lines
}

fn normal(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap().to_string()
}

/// The line of a customer that the contract accepts.
fn line(customer_id: &str) -> Value {
    json!({ "Customer": {
        "Account": "acme", "CustomerID": customer_id, "Version": "0123456789abcdef0123456789abcdef",
        "Created": "2026-01-31T12:00:00.000001Z", "Updated": "2026-01-31T12:00:00.000002Z", "Record": mia()
    } })
}

fn ndjson(lines: &[Value]) -> Vec<u8> {
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n").into_bytes()
}

async fn signed_requests_go_on_after_the_move_to_the_other_engine_and_back(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", Algorithm::Es256, "other-1").await;
    let revoked = api.register("acme", Algorithm::Es384, "gone").await;
    assert!(api.store.revoke_signing_key("gone", clock::now().into()).await.unwrap());
    for number in 0..5 {
        api.put(&format!("c-{number}"), &full()).send().await.expect(201);
    }
    api.put("c-1", &mia()).send().await.expect(204);
    api.put("%C3%A9%2F%22", &mia()).signed_by(&other).send().await.expect(201);
    let lines = export(&api.database, &[]).await;
    assert_eq!(lines.len(), 3 + 6);

    let (middle, last) = (engine.other().database().await, engine.database().await);
    succeeds(&middle, &["import"], lines.join("\n").as_bytes()).await;
    assert_eq!(export(&middle, &[]).await, lines);
    succeeds(&last, &["import"], succeeds(&middle, &["export"], b"").await.as_bytes()).await;
    assert_eq!(export(&last, &[]).await, lines);

    for database in [middle, last] {
        let moved = api.over(database).await;
        for id in ["c-0", "c-1"] {
            // `Last-Modified` is not later than `Date`, so that both change while the second of the write goes on.
            eventually("both say the same", || async {
                let (before, after) =
                    (api.get(id).send().await.expect(200), moved.get(id).send().await.expect(200));
                assert_eq!(after.body, before.body);
                assert_eq!(after.header("ETag"), before.header("ETag"));
                after.header("Last-Modified") == before.header("Last-Modified")
            })
            .await;
        }
        let etag = moved.get("c-0").send().await.header("ETag").to_owned();
        moved.put("c-0", &mia()).header("If-Match", etag).send().await.expect(204);
        moved.put("new", &mia()).send().await.expect(201);
        moved.get("c-0").signed_by(&other).send().await.expect(404);
        moved.get("c-0").signed_by(&revoked).send().await.expect(401);
    }
}

async fn an_export_of_one_account_has_its_keys_and_customers_alone(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", Algorithm::Es256, "other-1").await;
    api.put("c-1", &mia()).send().await.expect(201);
    api.put("c-2", &mia()).signed_by(&other).send().await.expect(201);
    let lines = export(&api.database, &["--account", "other"]).await;
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (keys, customers): (Vec<_>, Vec<_>) = lines.partition(|line| line.get("Key").is_some());
    assert_eq!((keys.len(), customers.len()), (1, 1));
    assert_eq!(keys[0]["Key"]["KeyID"], "other-1");
    assert_eq!(customers[0]["Customer"]["CustomerID"], "c-2");
    let nobody = run(&api.database, &["export", "--account", "others"], b"").await;
    assert_eq!(nobody.status.code(), Some(1), "a mistyped account is not an empty one");
}

async fn an_import_seals_by_its_own_key(engine: Engine) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let file = folder.path().join(name);
        fs::write(&file, &*generate_key_line(name)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (one, two) = (file("k1"), file("k2"));
    let lines = [line("c-1"), line("c-2")];
    let (first, second) = (engine.database().await, engine.other().database().await);
    succeeds(&first, &["import", "--seal-keys", &one], &ndjson(&lines)).await;
    assert_eq!(first.count("customers WHERE sealed_by = 'k1'").await, 2);
    let exported = export(&first, &["--seal-keys", &one]).await;
    assert_eq!(exported, lines.each_ref().map(Value::to_string), "the lines are plain");
    assert_eq!(run(&first, &["export"], b"").await.status.code(), Some(1), "it needs the key");
    succeeds(&second, &["import", "--seal-keys", &two], exported.join("\n").as_bytes()).await;
    assert_eq!(second.count("customers WHERE sealed_by = 'k2'").await, 2);
    assert_eq!(export(&second, &["--seal-keys", &two]).await, exported);
    let plain = run(&second, &["import"], &ndjson(&[line("c-3")])).await;
    assert_eq!(plain.status.code(), Some(1), "no plain record comes into a sealed database");
}

async fn lines_that_cannot_be_imported_are_reported_by_number_and_the_others_are_imported(engine: Engine) {
    let database = engine.database().await;
    let changed = |pointer: &str, value: Value| {
        let mut line = line("changed");
        *line.pointer_mut(pointer).unwrap() = value;
        line.to_string()
    };
    let with = |member: &str, value: Value| {
        let mut line = line("changed");
        line["Customer"][member] = value;
        line.to_string()
    };
    let mut invalid = mia();
    invalid["DateOfBirth"] = "1990-02-31".into();
    invalid["FullName"].as_object_mut().unwrap().remove("LastName");
    let twice = line("twice")
        .to_string()
        .replace("\"DateOfBirth\":", "\"DateOfBirth\":\"1990-01-31\",\"DateOfBirth\":");
    let far = Timestamp::from(clock::now() + chrono::TimeDelta::hours(2)).to_string();
    let mut newer = line("c-1");
    newer["Customer"]["Version"] = "ffffffffffffffffffffffffffffffff".into();
    let cut_off = "{\"Customer\":";
    let at_its_end = format!("is not valid JSON at column {}", cut_off.len());
    let at_its_end = [at_its_end.as_str()];
    let cases: Vec<(String, &[&str])> = vec![
        (line("c-1").to_string(), &[]),
        (cut_off.to_owned(), &at_its_end),
        (
            changed("/Customer/CustomerID", "x".repeat(37).into()),
            &["CustomerID: must have 1 to 36 characters"],
        ),
        (changed("/Customer/Account", "a b".into()), &["Account: an account name has"]),
        (changed("/Customer/Version", "1".into()), &["Version: is not a version"]),
        (changed("/Customer/Version", "0".repeat(32).into()), &["Version: is not a version"]),
        (changed("/Customer/Created", "2026-01-31T12:00:00.0000001Z".into()), &["Created: must be a time"]),
        (changed("/Customer/Updated", "2026-01-31T11:00:00Z".into()), &["Updated is before Created"]),
        (changed("/Customer/Updated", far.into()), &["Updated is in the future"]),
        (
            changed("/Customer/Record", invalid),
            &["DateOfBirth must be a calendar date, YYYY-MM-DD", "FullName.LastName is required"],
        ),
        (with("Extra", 1.into()), &["has an unknown member"]),
        (twice, &["a member of the record is given twice"]),
        ("{\"Person\":{}}".to_owned(), &["must be {\"Key\""]),
        (" ".repeat(1024 * 1024 + 4097), &["is longer than 1052672 bytes"]),
        (String::new(), &[]),
        (line("c-1").to_string(), &[]),
        (newer.to_string(), &["the customer is there already, in another version"]),
        (line("c-2").to_string(), &[]),
    ];
    let text: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let output = run(&database, &["import"], text.join("\n").as_bytes()).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let mut refused = 0;
    for (number, (_, faults)) in (1..).zip(&cases) {
        refused += usize::from(!faults.is_empty());
        let prefix = format!("line {number}: ");
        let found: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        assert_eq!(found.len(), faults.len(), "{number}: {said}");
        assert!(found.iter().zip(*faults).all(|(found, fault)| found.starts_with(fault)), "{number}: {said}");
    }
    assert!(!said.contains("Muster") && !said.contains("1990-"), "no value: {said}");
    let end = format!(
        "error: {refused} lines were not imported; imported 2 customers and 0 keys; \
         1 customers and 0 keys were there already"
    );
    assert_eq!(said.lines().last().unwrap(), end);
    assert_eq!(database.count("customers").await, 2);
}

async fn a_customer_in_another_version_is_replaced_only_if_asked(engine: Engine) {
    let database = engine.database().await;
    let (first, mut second) = (line("c-1"), line("c-1"));
    succeeds(&database, &["import"], &ndjson(std::slice::from_ref(&first))).await;
    second["Customer"]["Version"] = "ffffffffffffffffffffffffffffffff".into();
    second["Customer"]["Created"] = "2026-01-30T12:00:00.000001Z".into();
    second["Customer"]["Record"] = full();
    assert_eq!(
        run(&database, &["import"], &ndjson(std::slice::from_ref(&second))).await.status.code(),
        Some(1)
    );
    assert_eq!(export(&database, &[]).await, [first.to_string()]);
    let said = succeeds(&database, &["import", "--replace"], &ndjson(&[first, second.clone()])).await;
    assert!(said.starts_with("imported 1 customers and 0 keys; 1 customers"), "{said}");
    assert_eq!(export(&database, &[]).await, [second.to_string()]);
}

async fn a_key_that_conflicts_is_refused_and_a_revocation_is_taken_over(engine: Engine) {
    let (api, target) = (TestApi::start(engine).await, TestApi::start(engine).await);
    let lines = export(&api.database, &[]).await;
    let taken = run(&target.database, &["import"], lines.join("\n").as_bytes()).await;
    assert_eq!(taken.status.code(), Some(1), "both call their keys alike");
    let said = String::from_utf8(taken.stderr).unwrap();
    assert!(said.starts_with("line 1: the key id is in use by another key\n"), "{said}");

    let empty = engine.database().await;
    let active = lines.join("\n");
    succeeds(&empty, &["import"], active.as_bytes()).await;
    assert!(api.store.revoke_signing_key("acme-1", clock::now().into()).await.unwrap());
    let revoked = export(&api.database, &[]).await;
    for lines in [revoked.join("\n"), active] {
        let said = succeeds(&empty, &["import"], lines.as_bytes()).await;
        assert_eq!(said, "imported 0 customers and 0 keys; 0 customers and 1 keys were there already\n");
        assert_eq!(export(&empty, &[]).await, revoked, "it stays revoked");
    }
}

async fn what_a_key_may_moves_with_it_and_an_import_changes_nothing_of_it(engine: Engine) {
    let api = TestApi::start(engine).await;
    let end: Timestamp = "2126-01-31T12:00:00.5Z".parse().unwrap();
    api.register_limited("reader", Scope::Read, None).await;
    api.register_limited("short", Scope::Write, Some(end)).await;
    api.register_limited("both", Scope::Read, Timestamp::from_micros(1)).await;
    assert!(api.store.revoke_signing_key("both", end).await.unwrap());
    let lines = export(&api.database, &[]).await;
    let keys: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["Key"].take()).collect();
    let said = |key_id: &str| {
        let key = keys.iter().find(|key| key["KeyID"] == key_id).unwrap();
        ["Scope", "Expires", "Revoked"]
            .map(|member| key.get(member).map_or("", |value| value.as_str().unwrap()))
    };
    let time = "2126-01-31T12:00:00.500000Z";
    assert_eq!(said("acme-1"), ["", "", ""], "what is the default is left out");
    assert_eq!(said("reader"), ["read", "", ""]);
    assert_eq!(said("short"), ["", time, ""]);
    assert_eq!(said("both"), ["read", "1970-01-01T00:00:00.000001Z", time]);

    // A revocation is never in the future.
    let now = Timestamp::from(clock::now()).to_string();
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.replace(&format!("\"Revoked\":\"{time}"), &format!("\"Revoked\":\"{now}")))
        .collect();
    let moved = engine.other().database().await;
    for _ in 0..2 {
        succeeds(&moved, &["import"], lines.join("\n").as_bytes()).await;
        assert_eq!(export(&moved, &[]).await, lines);
    }

    let change = |key_id: &str, members: Value| {
        let mut key = keys.iter().find(|key| key["KeyID"] == key_id).unwrap_or(&keys[0]).clone();
        key["KeyID"] = key_id.into();
        for (member, value) in members.as_object().unwrap() {
            key[member] = value.clone();
        }
        json!({ "Key": key })
    };
    let other = "the key id is in use by another key";
    let form = "must be {\"Key\"";
    let cases = [
        (change("reader", json!({ "Scope": "write" })), other),
        (change("acme-1", json!({ "Scope": "read" })), other),
        (change("acme-1", json!({ "Expires": time })), other),
        (change("short", json!({ "Expires": "2126-01-31T12:00:00Z" })), other),
        (change("new", json!({ "Scope": "admin" })), "Scope: must be read or write"),
        (change("new", json!({ "Scope": null })), form),
        (change("new", json!({ "Expires": null })), form),
        (change("new", json!({ "Revoked": null })), form),
        (change("new", json!({ "Expires": "2126-01-31" })), "Expires: must be a time of RFC 3339"),
    ];
    for (line, fault) in cases {
        let output = run(&moved, &["import"], &ndjson(std::slice::from_ref(&line))).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.starts_with(&format!("line 1: {fault}")), "{line}: {said}");
    }
    assert_eq!(export(&moved, &[]).await, lines, "nothing was changed");
}

async fn what_cannot_be_exported_is_reported_by_key_and_left_out(engine: Engine) {
    let api = TestApi::start(engine).await;
    for number in 0..5 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
    }
    let record = if engine == Engine::Sqlite { "X'7b0a7d'" } else { "decode('7b0a7d', 'hex')" };
    for change in [
        &format!("UPDATE customers SET record = {record} WHERE customer_id = 'c-1'"),
        "UPDATE customers SET account = 'a b' WHERE customer_id = 'c-2'",
        "UPDATE customers SET sealed_by = 'k1' WHERE customer_id = 'c-3'",
        "UPDATE signing_keys SET created_at = 9223372036854775807",
    ] {
        api.database.execute(change).await;
    }
    let output = run(&api.database, &["export"], b"").await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "the key acme-1: a timestamp is out of range",
        "acme/c-1: the record is not a JSON object",
        "?/c-2: the account name is malformed",
        "acme/c-3: the record is sealed by a key that is not available",
        "error: 4 keys and customers cannot be exported",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let exported = String::from_utf8(output.stdout).unwrap();
    assert_eq!(exported.lines().filter(|line| line.starts_with("{\"Customer\"")).count(), 2);
    succeeds(&engine.other().database().await, &["import"], exported.as_bytes()).await;
}

async fn an_export_that_was_cut_off_is_noticed(engine: Engine) {
    let whole = ended(&ndjson(&[line("c-1"), line("c-2"), line("c-3")]));
    let whole = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let end = |number: usize| format!("{{\"End\":{{\"Lines\":{number}}}}}");
    let missing = "error: the export was cut off: its last line, {\"End\": …}, is missing; imported";
    for (text, code, said) in [
        (whole.clone(), 0, ""),
        (format!("{}\n\n", whole.replace('\n', "\n\n")), 0, ""),
        (format!("{whole}\n{whole}\n{}", end(0)), 0, ""),
        (end(0), 0, ""),
        (String::new(), 1, missing),
        (format!("{}\n", lines[0]), 1, missing),
        (lines[..3].join("\n"), 1, missing),
        (format!("{whole}\n{}", lines[0]), 1, missing),
        (whole[..whole.len() - 1].to_owned(), 1, "line 4: is not valid JSON"),
        (
            [lines[0], lines[2], lines[3]].join("\n"),
            1,
            "line 3: 3 lines were exported before this one, and 2 came",
        ),
        (format!("{}\n{}", lines[0], end(2)), 1, "line 2: 2 lines were exported before this one, and 1 came"),
        ("{\"End\":{\"Lines\":-1}}".to_owned(), 1, "line 1: must be {"),
        ("{\"End\":{}}".to_owned(), 1, "line 1: missing field `Lines`"),
    ] {
        let database = engine.database().await;
        let import = ["import", "--allow-incomplete"];
        let lax = run(&database, &import, text.as_bytes()).await;
        assert_eq!(lax.status.success(), code == 0 || said == missing, "{text}");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, &text).unwrap();
        let strict = run(&engine.database().await, &["import", file.path().to_str().unwrap()], b"").await;
        let errors = String::from_utf8(strict.stderr).unwrap();
        assert_eq!(strict.status.code(), Some(code), "{text}: {errors}");
        assert!(errors.lines().any(|line| line.starts_with(said)) || said.is_empty(), "{text}: {errors}");
    }
}

on_each_engine! {
    an_export_that_was_cut_off_is_noticed,
    signed_requests_go_on_after_the_move_to_the_other_engine_and_back,
    an_export_of_one_account_has_its_keys_and_customers_alone,
    an_import_seals_by_its_own_key,
    lines_that_cannot_be_imported_are_reported_by_number_and_the_others_are_imported,
    a_customer_in_another_version_is_replaced_only_if_asked,
    a_key_that_conflicts_is_refused_and_a_revocation_is_taken_over,
    what_a_key_may_moves_with_it_and_an_import_changes_nothing_of_it,
    what_cannot_be_exported_is_reported_by_key_and_left_out,
}
