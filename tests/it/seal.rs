//! Sealed records: the format, the keys, and what happens to a record that was tampered with.

mod rotation;
mod service;

use customers_api::{
    account::Account,
    model::{CustomerId, CustomerInput, Timestamp},
    record::{DamagedRecord, Records, Resealed, SealKeys, generate_key_line},
    store::{Record, StoredCustomer, Version},
};
use serde_json::Value;

use self::service::{Place, counts};
use crate::support::{Engine, TestApi, eventually, full, mia, on_each_engine};

/// One key, which exists only here.
fn one_key() -> SealKeys {
    SealKeys::parse(&generate_key_line("k1")).unwrap()
}

fn stored(customer_id: &str, version: Version, bytes: Vec<u8>, sealed_by: &str) -> StoredCustomer {
    let now = Timestamp::from_micros(1_750_000_000_000_000).unwrap();
    let record = Record { bytes, sealed_by: Some(sealed_by.to_owned()) };
    StoredCustomer { customer_id: customer_id.parse().unwrap(), record, version, created: now, updated: now }
}

#[test]
fn what_another_implementation_sealed_can_be_opened() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("seal/vectors.json")).unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let keys = SealKeys::parse(&format!("k1 {}", text("SealKey"))).unwrap();
        let version: Version = text("Version").parse().unwrap();
        let stored = stored(&text("CustomerID"), version, hex::decode(text("Sealed")).unwrap(), "k1");
        // What is opened is sealed again by another key, and then opened by that one alone.
        let other = generate_key_line("k2");
        let both = SealKeys::parse(&format!("{}\nk1 {}", *other, text("SealKey"))).unwrap();
        let Resealed::Changed(resealed) = Records::new(both).reseal(&text("Account"), &stored).unwrap()
        else {
            panic!("the record is under the old key");
        };
        assert!(Records::new(keys).check(&text("Account"), &stored).is_ok());
        let account: Account = text("Account").parse().unwrap();
        let again = StoredCustomer { record: resealed.record, ..stored };
        let fields = text("Fields");
        match Records::new(SealKeys::parse(&other).unwrap()).answer(&account, &again) {
            Ok(json) => assert!(String::from_utf8(json).unwrap().ends_with(&fields[1..])),
            Err(damaged) => assert!(matches!(damaged, DamagedRecord::NotAnObject) && fields == "{}"),
        }
    }
}

#[test]
fn every_single_damaged_byte_is_found() {
    let (account, id): (Account, CustomerId) = ("acme".parse().unwrap(), "c-1".parse().unwrap());
    let (records, version) = (Records::new(one_key()), Version::new());
    let input: CustomerInput = serde_json::from_value(mia()).unwrap();
    let sealed = records.encode(&account, &id, version, &input).unwrap().bytes;
    let check = |bytes: Vec<u8>| records.check("acme", &stored("c-1", version, bytes, "k1"));
    assert_eq!(check(sealed.clone()).unwrap(), []);
    for place in 0..sealed.len() {
        for bit in [0, 3, 7] {
            let mut damaged = sealed.clone();
            damaged[place] ^= 1 << bit;
            assert!(matches!(check(damaged), Err(DamagedRecord::Forged)), "byte {place}, bit {bit}");
        }
        assert!(check(sealed[..place].to_vec()).is_err(), "cut off before byte {place}");
    }
    assert!(check([sealed, vec![0]].concat()).is_err(), "a byte too many");
}

#[test]
fn a_record_opens_only_where_it_was_sealed() {
    let (account, id): (Account, CustomerId) = ("acme".parse().unwrap(), "c-1".parse().unwrap());
    let (records, version) = (Records::new(one_key()), Version::new());
    let input: CustomerInput = serde_json::from_value(mia()).unwrap();
    let sealed = records.encode(&account, &id, version, &input).unwrap().bytes;
    let check =
        |account: &str, id: &str, version| records.check(account, &stored(id, version, sealed.clone(), "k1"));
    assert!(check("acme", "c-1", version).is_ok());
    assert!(matches!(check("acm", "c-1", version), Err(DamagedRecord::Forged)), "another account");
    assert!(matches!(check("acme", "c-2", version), Err(DamagedRecord::Forged)), "another customer");
    assert!(matches!(check("acme", "c-1", Version::new()), Err(DamagedRecord::Forged)), "another version");
    let other = Records::new(SealKeys::parse(&generate_key_line("k1")).unwrap());
    let forged = other.check("acme", &stored("c-1", version, sealed.clone(), "k1"));
    assert!(matches!(forged, Err(DamagedRecord::Forged)), "another key under the same id");
    let unknown = records.check("acme", &stored("c-1", version, sealed.clone(), "k2"));
    assert!(matches!(unknown, Err(DamagedRecord::UnknownKey)));
}

/// The texts of a person that nobody may find in the database. Each is longer than what random bytes spell.
const TEXTS: [&str; 8] = [
    "Samantha",
    "Sample",
    "Quinn",
    "1985-11-05",
    "X00000001",
    "100 Example Avenue",
    "Sampleville",
    "Passport",
];

async fn sealed(engine: Engine) -> TestApi {
    TestApi::with_records(engine, Records::new(one_key())).await
}

async fn a_sealed_customer_is_served_as_a_plain_one(engine: Engine) {
    let api = sealed(engine).await;
    api.put("c-1", &full()).send().await.expect(201);
    api.put("c-2", &mia()).send().await.expect(201);
    let mut read = api.get("c-1").send().await.expect(200).json();
    let listed = api.list("?SortDirection=ASC").send().await.expect(200).json();
    assert_eq!(listed["Items"][0], read);
    for member in ["CustomerID", "Created"] {
        read.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(read, full());
    api.put("c-1", &mia()).send().await.expect(204);
    assert_eq!(api.get("c-1").send().await.expect(200).json()["FullName"], mia()["FullName"]);
}

async fn the_database_holds_no_word_of_a_sealed_customer(engine: Engine) {
    let api = sealed(engine).await;
    let mut customer = full();
    customer["FullName"]["FirstName"] = "Samantha".into();
    for number in 0..50 {
        api.put(&format!("c-{number}"), &customer).send().await.expect(201);
    }
    let dump = service::dump(&api.database);
    assert!(find(&dump, "c-49"), "the dump is the database's");
    for text in TEXTS {
        assert!(!find(&dump, text), "{text}");
    }
    let plain = TestApi::start(engine).await;
    plain.put("c-1", &customer).send().await.expect(201);
    let dump = service::dump(&plain.database);
    assert!(TEXTS.iter().all(|text| find(&dump, text)), "a plain record would be found");
}

/// Whether a text is somewhere in the bytes, also as PostgreSQL writes bytes in a dump.
fn find(bytes: &[u8], text: &str) -> bool {
    let hex = hex::encode(text);
    [text.as_bytes(), hex.as_bytes()]
        .iter()
        .any(|needle| bytes.windows(needle.len()).any(|window| window == *needle))
}

async fn a_record_that_was_tampered_with_is_an_error_for_its_customer_alone(engine: Engine) {
    let swap = "UPDATE customers SET record = (SELECT record FROM customers c WHERE c.customer_id = 'c-2') \
        WHERE customer_id = 'c-1'";
    let flip = match engine {
        Engine::Sqlite => {
            "UPDATE customers SET record = CAST(substr(record, 1, 20) || X'00' || substr(record, 22) AS BLOB) \
             WHERE customer_id = 'c-1'"
        }
        Engine::Postgres => {
            "UPDATE customers SET record = set_byte(record, 20, (get_byte(record, 20) + 1) % 256) \
             WHERE customer_id = 'c-1'"
        }
    };
    let changes = [
        swap,
        flip,
        "UPDATE customers SET version = (SELECT version FROM customers c WHERE c.customer_id = 'c-2') \
         WHERE customer_id = 'c-1'",
        "UPDATE customers SET customer_id = 'c-1' WHERE customer_id = 'c-3'",
        "UPDATE customers SET account = 'acme', customer_id = 'c-1' WHERE account = 'other'",
        "UPDATE customers SET sealed_by = 'k2' WHERE customer_id = 'c-1'",
        "UPDATE customers SET sealed_by = NULL WHERE customer_id = 'c-1'",
    ];
    for change in changes {
        let api = sealed(engine).await;
        let other = api.register("other", customers_api::signature::Algorithm::Es256, "other-1").await;
        api.put("c-2", &full()).send().await.expect(201);
        if change.contains("'c-3'") {
            api.put("c-3", &full()).send().await.expect(201);
        } else if change.contains("'other'") {
            api.put("c-4", &full()).signed_by(&other).send().await.expect(201);
        } else {
            api.put("c-1", &mia()).send().await.expect(201);
        }
        api.database.execute(change).await;

        api.get("c-1").send().await.expect(500);
        assert_eq!(api.get("c-2").send().await.expect(200).json()["FullName"], full()["FullName"]);
        let listed = api.list("").send().await.expect(200).json();
        let ids: Vec<_> =
            listed["Items"].as_array().unwrap().iter().map(|item| &item["CustomerID"]).collect();
        assert_eq!(ids, ["c-2"], "{change}");
        api.put("c-1", &mia()).send().await.expect(204);
        api.get("c-1").send().await.expect(200);
    }
    let api = sealed(engine).await;
    api.put("c-1", &mia()).send().await.expect(201);
    api.database.execute(flip).await;
    api.delete("c-1").send().await.expect(204);
}

async fn verify_finds_what_was_tampered_with(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    for number in 0..5 {
        service.put(&format!("c-{number}"), &mia()).await.expect(201);
    }
    let verify = ["verify", "--seal-keys", &place.keys];
    assert_eq!(place.run(&verify), (0, "5 customers match the contract\n".to_owned()));
    let swap = "UPDATE customers SET record = (SELECT record FROM customers c WHERE c.customer_id = 'c-2') \
        WHERE customer_id = 'c-1'";
    place.database.execute(swap).await;
    let (code, report) = place.run(&verify);
    assert_eq!(
        (code, report.as_str()),
        (1, "sandbox/c-1: the record is not what was sealed for this customer\n")
    );
}

async fn keys_are_rotated_while_the_service_runs(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    for number in 0..20 {
        service.put(&format!("c-{number}"), &full()).await.expect(201);
    }
    let old = place.read_keys();
    place.write_keys(&format!("{}\n{old}", *generate_key_line("k2")));
    eventually("the service seals by the new key", || async {
        service.put("c-0", &mia()).await;
        place.run(&["seal", "status"]).1.contains("k2")
    })
    .await;
    assert_eq!(counts(&place), ["k1 19", "k2 1"]);
    service.get("c-1").await.expect(200);

    let (code, said) = place.run(&["seal", "apply", "--seal-keys", &place.keys]);
    assert_eq!((code, said.as_str()), (0, "all records are sealed by k2: 19 were not before\n"));
    assert_eq!(counts(&place), ["k2 20"]);
    let again = place.run(&["seal", "apply", "--seal-keys", &place.keys]).1;
    assert_eq!(again, "all records are sealed by k2: 0 were not before\n");
    let etag = service.get("c-1").await.expect(200);
    assert_eq!(etag.json()["FullName"], full()["FullName"]);

    place.write_keys(place.read_keys().lines().next().unwrap());
    drop(service);
    let service = place.serve();
    service.get("c-1").await.expect(200);
    assert_eq!(place.run(&["verify", "--seal-keys", &place.keys]).0, 0);
}

async fn a_file_of_keys_that_is_broken_while_the_service_runs_changes_nothing(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    service.put("c-1", &mia()).await.expect(201);
    let good = place.read_keys();
    for broken in ["", "k1", &generate_key_line("k1"), &generate_key_line("k9")] {
        let lines = place.log_lines("the seal keys of before are kept");
        place.write_keys(broken);
        eventually("the broken file is noticed", || async {
            place.log_lines("the seal keys of before are kept") > lines
        })
        .await;
        service.get("c-1").await.expect(200);
        service.put("c-2", &mia()).await;
    }
    let key = good.split_whitespace().nth(1).unwrap();
    assert!(!place.log().contains(key), "no key is logged");
    assert_eq!(counts(&place), ["k1 2"]);
}

async fn plain_records_are_served_until_all_are_sealed_and_then_refused(engine: Engine) {
    let place = Place::new(engine).await;
    let plain = place.serve_plain();
    for number in 0..3 {
        plain.put(&format!("c-{number}"), &full()).await.expect(201);
    }
    plain.stop();
    let service = place.serve();
    service.get("c-0").await.expect(200);
    service.put("c-1", &mia()).await.expect(204);
    assert_eq!(counts(&place), ["- 2", "k1 1"]);
    assert_eq!(place.run(&["seal", "apply", "--seal-keys", &place.keys]).0, 0);
    service.get("c-0").await.expect(200);
    let forged = match engine {
        Engine::Sqlite => "CAST('{\"a\":1}' AS BLOB)",
        Engine::Postgres => "convert_to('{\"a\":1}', 'UTF8')",
    };
    let forge = format!("UPDATE customers SET sealed_by = NULL, record = {forged} WHERE customer_id = 'c-0'");
    place.database.execute(&forge).await;
    eventually("the service has learned it", || async { service.get("c-0").await.status == 500 }).await;
    service.get("c-1").await.expect(200);
}

async fn a_database_that_was_sealed_from_the_start_accepts_no_plain_record(engine: Engine) {
    let place = Place::new(engine).await;
    drop(place.serve());
    let service = place.serve();
    service.put("c-1", &mia()).await.expect(201);
    place.database.execute("UPDATE customers SET sealed_by = NULL").await;
    service.get("c-1").await.expect(500);
}

async fn a_start_without_the_needed_keys_is_refused_in_one_line(engine: Engine) {
    let place = Place::new(engine).await;
    let service = place.serve();
    service.put("c-1", &mia()).await.expect(201);
    drop(service);
    let missing = "error: the database has records that are sealed by the key k1: \
        add it to the file of --seal-keys\n";
    assert_eq!(place.refused(&[]), missing);
    let good = place.read_keys();
    place.write_keys(&generate_key_line("k2"));
    assert_eq!(place.refused(&["--seal-keys", &place.keys]), missing);
    place.write_keys(&generate_key_line("k1"));
    assert_eq!(
        place.refused(&["--seal-keys", &place.keys]),
        "error: the seal key k1 is not the key that this database knows under this id\n"
    );
    place.write_keys(&good);
    // One damaged record does not stop the service.
    place.database.execute("UPDATE customers SET version = record, sealed_by = 'k7'").await;
    place.serve().get("c-1").await.expect(500);
    for (mode, text, error) in [
        (0o644, good.as_str(), "can be read by others: run `chmod 600` on it"),
        (0o660, good.as_str(), "can be read by others: run `chmod 600` on it"),
        (0o600, "", "has no key: run `customers-api seal generate-key`"),
    ] {
        place.write_keys(text);
        place.set_mode(mode);
        let refused = place.refused(&["--seal-keys", &place.keys]);
        assert_eq!(refused, format!("error: the seal key file {} {error}\n", place.keys));
    }
    let nowhere = place.refused(&["--seal-keys", "/nowhere/keys"]);
    assert!(nowhere.starts_with("error: the seal key file /nowhere/keys cannot be read:"), "{nowhere}");
}

on_each_engine! {
    a_sealed_customer_is_served_as_a_plain_one,
    the_database_holds_no_word_of_a_sealed_customer,
    a_record_that_was_tampered_with_is_an_error_for_its_customer_alone,
    verify_finds_what_was_tampered_with,
    keys_are_rotated_while_the_service_runs,
    a_file_of_keys_that_is_broken_while_the_service_runs_changes_nothing,
    plain_records_are_served_until_all_are_sealed_and_then_refused,
    a_database_that_was_sealed_from_the_start_accepts_no_plain_record,
    a_start_without_the_needed_keys_is_refused_in_one_line,
}
