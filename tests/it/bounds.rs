//! Every bound of every field, at its edge. The models and the contract give the same verdict, and it is the right one.

use customers_api::{
    contract,
    model::{CountryCode, CustomerInput, Date},
};
use serde_json::{Value, json};

use crate::support::{full, mia, without};

/// A character outside of the Basic Multilingual Plane: one code point, two UTF-16 units, four bytes.
const WIDE: &str = "\u{1F600}";

/// What the models and the contract both say of these bytes.
#[track_caller]
fn is_accepted(body: &[u8]) -> bool {
    let by_models = serde_json::from_slice::<CustomerInput>(body).is_ok();
    let by_contract = contract::explain("CustomerInput", body).is_empty();
    assert_eq!(by_models, by_contract, "models and contract agree on {}", String::from_utf8_lossy(body));
    by_models
}

#[track_caller]
fn accepted(customer: &Value) {
    assert!(is_accepted(customer.to_string().as_bytes()), "accepted: {customer}");
}

#[track_caller]
fn refused(customer: &Value) {
    assert!(!is_accepted(customer.to_string().as_bytes()), "refused: {customer}");
}

fn with(pointer: &str, value: impl Into<Value>) -> Value {
    let mut customer = full();
    *customer.pointer_mut(pointer).unwrap() = value.into();
    customer
}

#[test]
fn lengths_are_counted_in_code_points_and_hold_at_their_edges() {
    for (pointer, least, most) in [
        ("/FullName/FirstName", 1, 50),
        ("/FullName/LastName", 1, 50),
        ("/FullName/MiddleName", 1, 50),
        ("/Identities/0/IDNumber", 1, 36),
        ("/PrimaryResidence/Street", 2, 200),
        ("/PrimaryResidence/City", 1, 100),
        ("/PrimaryResidence/PostCode", 1, 20),
    ] {
        for character in ["a", " ", "é", "\u{301}", WIDE] {
            refused(&with(pointer, character.repeat(least - 1)));
            accepted(&with(pointer, character.repeat(least)));
            accepted(&with(pointer, character.repeat(most)));
            refused(&with(pointer, character.repeat(most + 1)));
        }
    }
}

#[test]
fn a_state_without_codes_has_one_to_a_hundred_characters() {
    for (length, verdict) in [(0, false), (1, true), (100, true), (101, false)] {
        let mut customer = mia();
        customer["PrimaryResidence"]["State"] = json!(WIDE.repeat(length));
        assert_eq!(is_accepted(customer.to_string().as_bytes()), verdict, "{length} characters");
    }
}

#[test]
fn a_second_street_may_be_empty_and_as_long_as_a_body() {
    accepted(&with("/PrimaryResidence/Street2", ""));
    accepted(&with("/PrimaryResidence/Street2", WIDE.repeat(10_000)));
}

#[test]
fn there_may_be_no_identities_and_many() {
    accepted(&with("/Identities", json!([])));
    accepted(&with("/Identities", vec![full()["Identities"][0].clone(); 1000]));
}

#[test]
fn all_249_countries_are_accepted_and_no_other_pair_of_letters() {
    let letters = || (b'A'..=b'Z').map(char::from);
    let known: Vec<String> = CountryCode::all().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(known.len(), 249);
    for pair in letters().flat_map(|first| letters().map(move |second| format!("{first}{second}"))) {
        let verdict = is_accepted(with("/Identities/0/IssuingCountry", pair.clone()).to_string().as_bytes());
        assert_eq!(verdict, known.contains(&pair), "{pair}");
    }
    for no_code in ["us", "USA", "U", "", " US", "US ", "840", "ＵＳ"] {
        refused(&with("/Identities/0/IssuingCountry", no_code));
    }
}

#[test]
fn all_subdivisions_of_the_us_and_canada_are_accepted_and_nothing_else_there() {
    let states =
        contract::document().pointer("/components/schemas/StreetAddress/allOf").unwrap().as_array().unwrap();
    let codes = |rule: usize| states[rule]["then"]["properties"]["State"]["enum"].as_array().unwrap().clone();
    for (country, prefix, codes, number) in [("US", "US-", codes(0), 57), ("CA", "CA-", codes(1), 13)] {
        assert_eq!(codes.len(), number, "{country}");
        let state = |state: &Value| {
            let mut customer = with("/PrimaryResidence/Country", country);
            customer["PrimaryResidence"]["State"] = state.clone();
            customer
        };
        for code in &codes {
            accepted(&state(code));
            refused(&state(&json!(format!("{prefix}{}", code.as_str().unwrap()))));
            refused(&state(&json!(code.as_str().unwrap().to_lowercase())));
        }
        for no_code in ["California", "Ontario", "ZZ", "", " CA", "01"] {
            refused(&state(&json!(no_code)));
        }
    }
}

#[test]
fn a_date_is_a_day_of_the_calendar() {
    for date in
        ["0000-01-01", "0000-02-29", "0001-01-01", "1900-02-28", "2000-02-29", "2024-02-29", "9999-12-31"]
    {
        accepted(&with("/DateOfBirth", date));
        accepted(&with("/Identities/0/IssuedDate", date));
        assert_eq!(date.parse::<Date>().unwrap().to_string(), date, "a date comes out as it went in");
    }
    for date in [
        "1900-02-29",
        "2023-02-29",
        "2024-02-30",
        "2024-04-31",
        "2024-00-10",
        "2024-13-10",
        "2024-01-00",
        "2024-01-32",
        "2024-1-01",
        "24-01-01",
        "2024/01/01",
        "20240101",
        "2024-01-01T00:00:00Z",
        " 2024-01-01",
        "2024-01-1 ",
        "+024-01-01",
        "-001-01-01",
        "２０２４-０１-０１",
        "2024-01-0a",
        "",
        "today",
    ] {
        refused(&with("/DateOfBirth", date));
        refused(&with("/Identities/0/ExpiryDate", date));
    }
}

#[test]
fn every_type_of_document_is_accepted_and_no_other_word() {
    for id_type in
        ["DrivingLicense", "NationalIDCard", "Passport", "AddressProof", "ResidencePermit", "TaxID"]
    {
        accepted(&with("/Identities/0/IDType", id_type));
        refused(&with("/Identities/0/IDType", id_type.to_lowercase()));
        // serde by itself would take this for the same.
        refused(&with("/Identities/0/IDType", json!({ id_type: null })));
    }
}

#[test]
fn each_required_member_is_required_and_each_other_one_is_not() {
    for pointer in [
        "/FullName",
        "/FullName/FirstName",
        "/FullName/LastName",
        "/DateOfBirth",
        "/Identities",
        "/Identities/0/IssuingCountry",
        "/Identities/0/IDNumber",
        "/Identities/0/IDType",
        "/PrimaryResidence",
        "/PrimaryResidence/Street",
        "/PrimaryResidence/City",
        "/PrimaryResidence/PostCode",
        "/PrimaryResidence/State",
        "/PrimaryResidence/Country",
    ] {
        refused(&without(full(), pointer));
        refused(&with(pointer, Value::Null));
    }
    for pointer in [
        "/FullName/MiddleName",
        "/Identities/0/IssuedDate",
        "/Identities/0/ExpiryDate",
        "/PrimaryResidence/Street2",
    ] {
        accepted(&without(full(), pointer));
        refused(&with(pointer, Value::Null));
    }
}

#[test]
fn an_unknown_member_is_refused_everywhere() {
    for pointer in ["", "/FullName", "/Identities/0", "/PrimaryResidence"] {
        let mut customer = full();
        customer.pointer_mut(pointer).unwrap()["MidleName"] = json!("Quinn");
        refused(&customer);
    }
}

#[test]
fn another_type_is_refused_everywhere() {
    let others = [
        json!(null),
        json!(true),
        json!(1),
        json!(1.5),
        json!("x"),
        json!([]),
        json!({}),
        json!(["Sam", "Sample"]),
    ];
    for pointer in ["", "/FullName", "/Identities/0", "/PrimaryResidence"] {
        for other in &others {
            refused(&with(pointer, other.clone()));
        }
    }
    for pointer in ["/FullName/FirstName", "/DateOfBirth", "/PrimaryResidence/Country"] {
        for other in others.iter().filter(|other| !other.is_string()) {
            refused(&with(pointer, other.clone()));
        }
    }
    refused(&with("/Identities", json!({ "0": full()["Identities"][0] })));
}

#[test]
fn a_struct_is_not_read_from_an_array() {
    let name = json!(["Sam", "Sample", "Quinn"]);
    refused(&with("/FullName", name));
    let customer = full();
    refused(&json!([
        customer["FullName"],
        customer["DateOfBirth"],
        customer["Identities"],
        customer["PrimaryResidence"]
    ]));
}

#[test]
fn a_member_given_twice_is_refused_and_named() {
    let body = full().to_string().replacen(
        "\"LastName\":\"Sample\"",
        "\"LastName\":\"Sample\",\"LastName\":\"Sample\"",
        1,
    );
    assert!(!is_accepted(body.as_bytes()));
    let items = contract::explain("CustomerInput", body.as_bytes());
    assert_eq!(items.iter().map(|item| item.field.as_str()).collect::<Vec<_>>(), ["FullName.LastName"]);
}

#[test]
fn u_0000_is_refused_in_every_text() {
    for pointer in [
        "/FullName/FirstName",
        "/FullName/LastName",
        "/FullName/MiddleName",
        "/Identities/0/IDNumber",
        "/PrimaryResidence/Street",
        "/PrimaryResidence/Street2",
        "/PrimaryResidence/City",
        "/PrimaryResidence/PostCode",
        "/PrimaryResidence/State",
    ] {
        for text in ["\0", "ab\0", "\0ab", "a\0\nb", "ab\n\0"] {
            refused(&with(pointer, text));
        }
    }
    for text in ["a\nb", "ab\n", "\u{1}b", "a\u{7f}", "\u{feff}b", "a\u{202e}"] {
        accepted(&with("/FullName/FirstName", text));
    }
}

#[test]
fn bytes_that_are_no_json_are_refused() {
    let good = full().to_string();
    let latin1 = good
        .replacen("Sam", "S\u{e9}", 1)
        .into_bytes()
        .into_iter()
        .filter(|&byte| byte != 0xc3)
        .collect::<Vec<_>>();
    let cases: [(&str, Vec<u8>); 9] = [
        ("nothing", Vec::new()),
        ("blank", b"  ".to_vec()),
        ("invalid UTF-8", latin1),
        ("half of it", good.as_bytes()[..good.len() / 2].to_vec()),
        ("more than one text", format!("{good}{good}").into_bytes()),
        ("a byte order mark", format!("\u{feff}{good}").into_bytes()),
        ("a trailing comma", good.replacen("\"Quinn\"", "\"Quinn\",", 1).into_bytes()),
        ("a lone surrogate", good.replacen("Quinn", r"\ud800", 1).into_bytes()),
        ("a bare control character", good.replacen("Quinn", "Qui\nnn", 1).into_bytes()),
    ];
    for (what, body) in cases {
        assert!(!is_accepted(&body), "{what}");
    }
}

#[test]
fn escapes_and_white_space_change_nothing() {
    let spaced = serde_json::to_string_pretty(&full()).unwrap();
    assert!(is_accepted(spaced.as_bytes()));
    let escaped = full().to_string().replacen("Passport", r"\u0050assport", 1).replacen(
        "FullName",
        r"\u0046ullName",
        1,
    );
    assert!(is_accepted(escaped.as_bytes()));
}
