//! Records: what other versions wrote, what is damaged, and `customers-api verify`.

use std::process::Output;

use serde_json::json;

use crate::support::{Database, Engine, TestApi, command, full, mia, on_each_engine};

/// Replaces the record of a customer behind the service's back.
async fn set_record(database: &Database, customer_id: &str, bytes: &[u8]) {
    let hex = hex::encode(bytes);
    let literal = if database.url.starts_with("sqlite:") {
        format!("X'{hex}'")
    } else {
        format!("decode('{hex}', 'hex')")
    };
    database
        .execute(&format!("UPDATE customers SET record = {literal} WHERE customer_id = '{customer_id}'"))
        .await;
}

async fn a_member_that_this_version_does_not_know_is_served_unchanged(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-1", &mia()).send().await.expect(201);
    api.put("c-2", &full()).send().await.expect(201);
    let newer =
        r#"{"FullName":{"FirstName":"Mia","Title":"Dr."},"Consents":[{"At":1.50}],"Email":"m@example.org"}"#;
    set_record(&api.database, "c-1", newer.as_bytes()).await;

    let read = api.get("c-1").send_unchecked().await.expect(200);
    let text = String::from_utf8(read.body.clone()).unwrap();
    assert!(text.ends_with(&newer[1..]), "the bytes that were written: {text}");
    assert_eq!(read.json()["CustomerID"], "c-1");
    let listed = api.list("?SortDirection=ASC").send_unchecked().await.expect(200).json();
    assert_eq!(listed["Items"][0]["Consents"], json!([{ "At": 1.50 }]));
    assert_eq!(listed["Items"][1]["FullName"], full()["FullName"]);

    api.put("c-1", &mia()).send().await.expect(204);
    assert_eq!(api.get("c-1").send().await.expect(200).json().get("Email"), None);
}

async fn a_damaged_record_is_an_error_for_its_customer_alone(engine: Engine) {
    for damage in ["", "{}", "[1]", "{\"FullName\":", "Mia Muster"] {
        let api = TestApi::start(engine).await;
        api.put("c-1", &mia()).send().await.expect(201);
        api.put("c-2", &full()).send().await.expect(201);
        set_record(&api.database, "c-1", damage.as_bytes()).await;

        let refused = api.get("c-1").send().await.expect(500);
        assert!(!String::from_utf8_lossy(&refused.body).contains("Muster"), "{damage}");
        api.get("c-2").send().await.expect(200);
        let listed = api.list("").send().await.expect(200).json();
        assert_eq!(listed["Items"].as_array().unwrap().len(), 1, "it is left out");
        assert_eq!(listed["Items"][0]["CustomerID"], "c-2");
        api.put("c-1", &full()).send().await.expect(204);
        api.get("c-1").send().await.expect(200);
        api.list("").send().await.expect(200);
    }
}

fn verify(database: &Database) -> Output {
    command().args(["verify", "--database-url", &database.url]).output().unwrap()
}

async fn verify_reports_by_key_what_does_not_match_the_contract(engine: Engine) {
    let api = TestApi::start(engine).await;
    for number in 0..7 {
        api.put(&format!("c-{number}"), &mia()).send().await.expect(201);
    }
    let sound = verify(&api.database);
    assert_eq!(String::from_utf8(sound.stdout).unwrap(), "7 customers match the contract\n");
    assert!(sound.status.success());

    let mut invalid = mia();
    invalid["DateOfBirth"] = "1990-02-31".into();
    invalid["FullName"].as_object_mut().unwrap().remove("LastName");
    set_record(&api.database, "c-1", invalid.to_string().as_bytes()).await;
    set_record(&api.database, "c-2", b"Mia Muster").await;
    let changes = [
        "UPDATE customers SET updated_at = created_at - 1 WHERE customer_id = 'c-3'",
        "UPDATE customers SET account = 'a b' WHERE customer_id = 'c-4'",
        "UPDATE customers SET customer_id = 'a\nb' || record::text WHERE customer_id = 'c-5'",
        "UPDATE customers SET sealed_by = 'k1' WHERE customer_id = 'c-6'",
    ];
    for change in changes {
        let change = if engine == Engine::Sqlite {
            change.replace("record::text", "CAST(record AS TEXT)")
        } else {
            change.replace("record::text", "convert_from(record, 'UTF8')")
        };
        api.database.execute(&change).await;
    }

    let damaged = verify(&api.database);
    assert_eq!(damaged.status.code(), Some(1));
    let error = String::from_utf8(damaged.stderr).unwrap();
    assert_eq!(error, "error: 6 of 7 customers do not match the contract\n");
    let report = String::from_utf8(damaged.stdout).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    for line in [
        "?/c-4: the account name is malformed",
        "acme/?: the customer id breaks the contract",
        "acme/c-1: DateOfBirth must be a calendar date, YYYY-MM-DD",
        "acme/c-1: FullName.LastName is required",
        "acme/c-2: the record is not valid JSON: expected value at line 1 column 1",
        "acme/c-3: the last change is before the creation",
        "acme/c-6: the record is sealed by a key that is not available",
    ] {
        assert!(lines.contains(&line), "{line}: {report}");
    }
    assert!(!report.contains("1990-") && !report.contains("Muster"), "no value of a member: {report}");
}

on_each_engine! {
    a_member_that_this_version_does_not_know_is_served_unchanged,
    a_damaged_record_is_an_error_for_its_customer_alone,
    verify_reports_by_key_what_does_not_match_the_contract,
}
