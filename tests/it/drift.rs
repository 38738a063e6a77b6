//! The document that the code makes is the document that is written.

use customers_api::{
    api::{document, operations},
    contract,
};
use serde_json::Value;

#[test]
fn the_code_makes_the_contract_as_it_is_written() {
    let made = serde_json::to_value(document(operations())).unwrap();
    let mut found = Vec::new();
    compare("", contract::document(), &made, &mut found);
    assert!(found.is_empty(), "openapi.yaml and the code differ:\n{}", found.join("\n"));
}

#[test]
fn the_json_form_is_the_yaml_form() {
    let json: Value = serde_json::from_str(&contract::JSON).unwrap();
    assert_eq!(&json, contract::document());
}

#[test]
fn every_schema_of_the_contract_compiles_and_takes_its_own_examples() {
    let schemas = contract::document()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let validator = contract::validator(&format!("/components/schemas/{name}"));
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert!(validator.is_valid(example), "{name}: {example}");
        }
    }
}

/// Notes every difference by JSON pointer, in both directions.
fn compare(pointer: &str, written: &Value, made: &Value, found: &mut Vec<String>) {
    let below = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
    match (written, made) {
        (Value::Object(written), Value::Object(made)) => {
            for (key, value) in written {
                match made.get(key) {
                    Some(other) => compare(&below(key), value, other, found),
                    None => found.push(format!("only in openapi.yaml: {} = {value}", below(key))),
                }
            }
            for (key, value) in made.iter().filter(|(key, _)| !written.contains_key(*key)) {
                found.push(format!("only in the code: {} = {value}", below(key)));
            }
        }
        (Value::Array(written), Value::Array(made)) if written.len() == made.len() => {
            for (index, (value, other)) in written.iter().zip(made).enumerate() {
                compare(&below(&index.to_string()), value, other, found);
            }
        }
        _ if written == made => {}
        _ => found.push(format!("different: {pointer}\n  openapi.yaml: {written}\n  the code:     {made}")),
    }
}
