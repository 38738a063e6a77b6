//! The texts of parameters.

use std::{collections::BTreeSet, fmt::Write as _};

use customers_api::{
    contract,
    model::{CustomerId, EventStart, EventWait, PageSize, SortDirection},
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_assert_eq, prop_oneof,
    sample::select,
};
use serde_json::{Value, json};

use super::{
    hold,
    oracle::{parameter, resolve, validator},
    samples,
    valid::{character, texts},
};
use crate::support::{Answer, Engine, TestApi, mia, on_each_engine};

/// Identifiers that the contract accepts.
pub(super) fn ids() -> impl Strategy<Value = String> {
    texts(prop_oneof![4 => 1..12_usize, 1 => Just(36), 1 => 1..=36_usize])
}

/// Identifiers, many of them wrong by a hair.
fn nearly_ids() -> impl Strategy<Value = String> {
    let with_nul =
        (texts(0..20_usize), texts(0..20_usize)).prop_map(|(before, after)| format!("{before}\0{after}"));
    prop_oneof![
        3 => ids(),
        3 => texts(prop_oneof![Just(0), Just(1), Just(35), Just(36), Just(37), 0..80_usize]),
        1 => with_nul,
    ]
}

/// Whole numbers and what looks like them.
fn nearly_numbers() -> impl Strategy<Value = String> {
    const STRANGE: [&str; 24] = [
        "",
        "0",
        "-0",
        "+1",
        "01",
        "1.0",
        "1e1",
        "1e2",
        "100",
        "101",
        " 1",
        "1 ",
        "1\n",
        "٣",
        "１",
        "0x10",
        "1_0",
        "1,0",
        "null",
        "true",
        "4294967297",
        "18446744073709551617",
        "-1",
        "99999999999999999999999",
    ];
    prop_oneof![
        2 => (1..=100_u32).prop_map(|number| number.to_string()),
        2 => select(&STRANGE[..]).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (-3..200_i32).prop_map(|number| number.to_string()),
    ]
}

fn nearly_directions() -> impl Strategy<Value = String> {
    const STRANGE: [&str; 10] =
        ["ASC", "DESC", "asc", "Desc", "", "ASC ", " DESC", "ASC\0", "ASCENDING", "ＡＳＣ"];
    prop_oneof![3 => select(&STRANGE[..]).prop_map(str::to_owned), 1 => texts(0..6_usize)]
}

fn nearly_starts() -> impl Strategy<Value = String> {
    const STRANGE: [&str; 8] = ["Oldest", "Newest", "oldest", "NEWEST", "", "Oldest ", "Newest\0", "Old"];
    prop_oneof![3 => select(&STRANGE[..]).prop_map(str::to_owned), 1 => texts(0..6_usize)]
}

/// Whether the contract accepts a parameter's text: a number is one in the form that JSON gives it.
fn is_accepted(schema: &'static Value, text: &str) -> bool {
    let schema = resolve(schema);
    if schema["type"] == "integer" {
        let (least, most) = (schema["minimum"].as_i64().unwrap(), schema["maximum"].as_i64().unwrap());
        return (least..=most).any(|number| number.to_string() == text);
    }
    validator(schema).is_valid(&json!(text))
}

#[test]
fn the_type_of_an_id_accepts_what_its_schema_accepts() {
    let schema = validator(resolve(parameter("getCustomer", "CustomerID")));
    hold(4000, &nearly_ids(), |text| {
        let by_schema = schema.is_valid(&json!(text));
        let id = text.parse::<CustomerId>();
        prop_assert_eq!(id.is_ok(), by_schema);
        for operation in ["putCustomer", "getCustomer", "deleteCustomer"] {
            let items = contract::explain_parameter("path", operation, "CustomerID", &text);
            prop_assert_eq!(items.is_empty(), by_schema);
        }
        prop_assert_eq!(
            id.map_or_else(|_| text.clone(), CustomerId::into_string),
            text,
            "it is kept as it is"
        );
        Ok(())
    });
}

#[test]
fn the_types_of_the_query_accept_what_their_schemas_accept() {
    let explained =
        |name, text: &str| contract::explain_parameter("query", "listCustomers", name, text).is_empty();
    hold(2000, &nearly_numbers(), |text| {
        let by_schema = is_accepted(parameter("listCustomers", "PageSize"), &text);
        prop_assert_eq!(text.parse::<PageSize>().is_ok(), by_schema);
        prop_assert_eq!(explained("PageSize", &text), by_schema);
        Ok(())
    });
    let explained_of_events =
        |name, text: &str| contract::explain_parameter("query", "listEvents", name, text).is_empty();
    hold(2000, &nearly_numbers(), |text| {
        let by_schema = is_accepted(parameter("listEvents", "Wait"), &text);
        prop_assert_eq!(text.parse::<EventWait>().is_ok(), by_schema);
        prop_assert_eq!(explained_of_events("Wait", &text), by_schema);
        Ok(())
    });
    hold(2000, &nearly_starts(), |text| {
        let by_schema = is_accepted(parameter("listEvents", "From"), &text);
        prop_assert_eq!(text.parse::<EventStart>().is_ok(), by_schema);
        prop_assert_eq!(explained_of_events("From", &text), by_schema);
        Ok(())
    });
    let directions = resolve(parameter("listCustomers", "SortDirection"))["enum"].as_array().unwrap();
    hold(2000, &nearly_directions(), |text| {
        let by_schema = directions.contains(&json!(text));
        prop_assert_eq!(text.parse::<SortDirection>().is_ok(), by_schema);
        prop_assert_eq!(explained("SortDirection", &text), by_schema);
        Ok(())
    });
}

/// Percent-encodes what must be encoded in a path (RFC 3986, 3.3), and some of the rest.
fn encode(text: &[u8], seed: u64) -> String {
    let mut encoded = String::new();
    for (index, byte) in text.iter().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte);
        match (is_plain, (seed >> (index % 60)) & 3) {
            (true, 1..) => encoded.push(char::from(*byte)),
            (_, 0 | 1) => write!(encoded, "%{byte:02x}").unwrap(),
            _ => write!(encoded, "%{byte:02X}").unwrap(),
        }
    }
    encoded
}

/// Bytes that are no text.
const NO_UTF8: [&[u8]; 4] = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x80"];

/// What no segment of a path ends with.
const NO_SEGMENT: [&str; 9] = ["%", "%4", "%zz", "|", "\"", "{", "^", "\\", "["];

async fn an_id_is_decoded_once_and_held_against_its_schema(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let schema = validator(resolve(parameter("getCustomer", "CustomerID")));
    let no_utf8 =
        (nearly_ids(), select(&NO_UTF8[..])).prop_map(|(text, bytes)| [text.as_bytes(), bytes].concat());
    let segments = prop_oneof![5 => nearly_ids().prop_map(String::into_bytes), 1 => no_utf8];
    let more = prop_oneof![5 => Just(""), 1 => select(&NO_SEGMENT[..])];
    for (bytes, seed, more) in samples(200, &(segments, any::<u64>(), more)) {
        let segment = encode(&bytes, seed) + more;
        if segment.is_empty() {
            continue;
        }
        let id = String::from_utf8(bytes).ok().filter(|id| more.is_empty() && schema.is_valid(&json!(id)));
        let Some(id) = id else {
            for request in [api.get(&segment), api.delete(&segment), api.put(&segment, &mia())] {
                let refused = request.unsigned().send().await.expect(400);
                assert!(!refused.violations("Path").is_empty(), "{segment}");
            }
            continue;
        };
        let put = api.put(&segment, &mia()).unsigned().send().await;
        assert!(put.status == 201 || put.status == 204, "{segment}: {}", put.status);
        assert_eq!(
            api.get(&segment).unsigned().send().await.expect(200).json()["CustomerID"],
            id,
            "{segment}"
        );
    }
}

/// The fields that an answer lists for a part of the request.
fn fields(answer: &Answer, part: &str) -> Vec<String> {
    let lines = answer.violations(part);
    let mut fields: Vec<_> = lines.iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    fields.sort();
    fields
}

async fn every_violation_of_the_query_is_listed_and_no_other(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let tokens =
        prop_oneof![texts(0..20_usize), texts(Just(2048)), texts(Just(2049)), Just("a\0".to_owned())];
    let pair = prop_oneof![
        3 => (Just("PageSize".to_owned()), nearly_numbers()),
        3 => (Just("SortDirection".to_owned()), nearly_directions()),
        2 => (Just("PageToken".to_owned()), tokens),
        1 => (select(&["pagesize", "PageSize ", "", "Api-Signature", "a b", "é"][..]).prop_map(str::to_owned), texts(0..3_usize)),
    ];
    let token = validator(parameter("listCustomers", "PageToken"));
    for pairs in samples(300, &vec(pair, 0..4)) {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let (mut expected, mut seen) = (Vec::new(), BTreeSet::new());
        for (name, text) in &pairs {
            let known = ["PageSize", "SortDirection", "PageToken"].contains(&name.as_str());
            let wrong = match name.as_str() {
                _ if !known || !seen.insert(name) => 1,
                // No token was given out yet, so a well-formed one is wrong too.
                "PageToken" => {
                    let errors = token.iter_errors(&json!(text)).count();
                    errors.max(1)
                }
                _ => usize::from(!is_accepted(parameter("listCustomers", name), text)),
            };
            let is_plain =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let field = if is_plain { name.as_str() } else { "?" };
            expected.extend(vec![field.to_owned(); wrong]);
        }
        expected.sort();
        let answer = api.list(&format!("?{query}")).unsigned().send().await;
        assert_eq!(answer.status, if expected.is_empty() { 200 } else { 400 }, "{query}");
        if !expected.is_empty() {
            assert_eq!(fields(&answer, "Query"), expected, "{query}");
        }
    }
}

/// Fields of entity tags, many of them wrong by a hair.
fn nearly_entity_tags() -> impl Strategy<Value = String> {
    const PIECES: [&str; 22] = [
        "*",
        "\"",
        "\"\"",
        "\"a\"",
        "\"a,b\"",
        "W/",
        "w/",
        "W/\"a\"",
        ",",
        ", ",
        " ,\t",
        " ",
        "\t",
        "a",
        "!",
        "#",
        "~",
        "'",
        "\\",
        "\u{e9}",
        "\"\u{e9}\"",
        "\"a b\"",
    ];
    let tag = (any::<bool>(), vec(select(&["a", "!", "#", "~", ",", "W/", "'", "\\"][..]), 0..4))
        .prop_map(|(is_weak, text)| format!("{}\"{}\"", if is_weak { "W/" } else { "" }, text.concat()));
    let list = (vec(tag, 1..4), select(&[",", ", ", " ,", "\t,\t"][..]))
        .prop_map(|(tags, between)| tags.join(between));
    prop_oneof![
        3 => list,
        3 => vec(select(&PIECES[..]), 0..6).prop_map(|pieces| pieces.concat()),
        1 => (1360..1370_usize).prop_map(|number| vec!["\"\""; number].join(",")),
    ]
}

async fn preconditions_are_held_against_their_schemas(engine: Engine) {
    let api = TestApi::sandbox(engine).await;
    let schema = |operation, name| validator(parameter(operation, name));
    let schemas = [
        schema("deleteCustomer", "If-Match"),
        schema("getCustomer", "If-None-Match"),
        schema("putCustomer", "If-Match"),
        schema("putCustomer", "If-None-Match"),
    ];
    for text in samples(300, &nearly_entity_tags()) {
        // White space around a field's value is none of it (RFC 9110, 5.5).
        let value = text.trim_matches([' ', '\t']);
        let requests = [
            ("If-Match", api.delete("c-1"), 404),
            ("If-None-Match", api.get("c-1"), 404),
            ("If-Match", api.put("c-1", &mia()), 412),
            ("If-None-Match", api.put("c-1", &mia()).header("if-match", "\"a\""), 412),
        ];
        for ((name, request, otherwise), schema) in requests.into_iter().zip(&schemas) {
            let mut expected = vec![name.to_owned(); schema.iter_errors(&json!(value)).count()];
            let answer = request.header(name, &text).unsigned().send().await;
            assert_eq!(answer.status, if expected.is_empty() { otherwise } else { 400 }, "{name} {text:?}");
            // A byte outside of ASCII has no place in a text: what else is wrong with the value does not show.
            expected.truncate(if value.is_ascii() { usize::MAX } else { 1 });
            if !expected.is_empty() {
                assert_eq!(fields(&answer, "Header"), expected, "{name} {text:?}");
            }
        }
    }
}

on_each_engine! {
    an_id_is_decoded_once_and_held_against_its_schema,
    every_violation_of_the_query_is_listed_and_no_other,
    preconditions_are_held_against_their_schemas,
}

#[test]
fn any_character_but_one_may_be_in_an_id() {
    hold(1000, &character(), |character| {
        prop_assert_eq!(character.to_string().parse::<CustomerId>().is_ok(), character != '\0');
        Ok(())
    });
}
