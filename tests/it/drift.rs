//! The document that the code makes is the document that is written, in all that has a meaning for a machine.

use customers_api::{
    api::{document, operations},
    contract,
};
use serde_json::{Map, Value};

use crate::support::validator;

#[test]
fn the_code_makes_the_contract_as_it_is_written() {
    let mut made = serde_json::to_value(document(operations())).unwrap();
    add_head(&mut made);
    let mut written = contract::document().clone();
    // What is sent is held against these.
    assert!(written.as_object_mut().unwrap().remove("webhooks").is_some());
    assert!(written["components"].as_object_mut().unwrap().remove("headers").is_some());
    let found = differences(&written, &made);
    assert!(found.is_empty(), "openapi.yaml and the code differ:\n{}", found.join("\n"));
}

/// HEAD is GET without content (RFC 9110, 9.3.2). Each of its responses is the response itself, not a reference: clients that are
/// generated from the document expect what it documents.
fn add_head(document: &mut Value) {
    let shared = document["components"]["responses"].clone();
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        let Some(mut head) = item.get("get").cloned() else { continue };
        let id = head["operationId"].as_str().unwrap();
        let resource = id.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
        head["operationId"] = format!("head{resource}").into();
        for response in head["responses"].as_object_mut().unwrap().values_mut() {
            if let Some(reference) = response["$ref"].as_str() {
                *response = shared[reference.rsplit('/').next().unwrap()].clone();
            }
            response.as_object_mut().unwrap().retain(|member, _| member != "content" && member != "links");
        }
        item["head"] = head;
    }
}

#[test]
fn only_words_and_examples_may_differ() {
    let change = |pointer: &str, value: Value| {
        let mut changed = contract::document().clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.insert(name.to_owned(), value).is_some(), "{pointer}");
        differences(contract::document(), &changed)
    };
    let put = "/paths/~1customers~1{CustomerID}/put";
    for words in ["summary", "description", "parameters/0/example", "responses/201/description"] {
        assert_eq!(change(&format!("{put}/{words}"), "x".into()), Vec::<String>::new(), "{words}");
    }
    for meaning in
        ["operationId", "tags", "parameters/0/required", "parameters/2/schema/pattern", "responses/400"]
    {
        assert_eq!(change(&format!("{put}/{meaning}"), "x".into()).len(), 1, "{meaning}");
    }
    let webhook = "/webhooks/customerEvent/post";
    for meaning in ["requestBody/required", "parameters/0/required", "responses/410"] {
        assert_eq!(change(&format!("{webhook}/{meaning}"), "x".into()).len(), 1, "{meaning}");
    }
    let schemas = "/components/schemas";
    for meaning in ["IDType/enum", "Date/format", "RequestExtensionItem/properties/Description"] {
        assert_eq!(change(&format!("{schemas}/{meaning}"), "x".into()).len(), 1, "{meaning}");
    }
}

#[test]
fn the_json_form_is_the_yaml_form() {
    let json: Value = serde_json::from_str(&contract::json_at("", contract::document())).unwrap();
    assert_eq!(&json, contract::document());
}

#[test]
fn every_schema_of_the_contract_compiles_and_takes_its_own_examples() {
    let schemas = contract::document()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let validator = validator(&format!("#/components/schemas/{name}"));
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert!(validator.is_valid(example), "{name}: {example}");
        }
    }
}

#[test]
fn the_full_example_of_a_body_has_every_member() {
    let operations = contract::document()["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|item| item.as_object().unwrap().values());
    for content in operations.map(|operation| &operation["requestBody"]["content"]["application/json"]) {
        let Some(full) = content["examples"]["Full"]["value"].as_object() else { continue };
        let schema = content["schema"]["$ref"].as_str().unwrap();
        let schema = contract::document().pointer(schema.trim_start_matches('#')).unwrap();
        let members = schema["properties"].as_object().unwrap().keys();
        let missing: Vec<_> = members.filter(|member| !full.contains_key(*member)).collect();
        assert!(missing.is_empty(), "the example Full lacks {missing:?}");
    }
}

/// What the documentation page of `putCustomer` says of the members: a description, or an example.
const WORDS: [(&str, &str, Option<&str>, Option<&str>); 18] = [
    ("FullName", "FirstName", Some("user's first name"), None),
    ("FullName", "LastName", Some("user's last name (family name)"), None),
    ("FullName", "MiddleName", Some("user's middle name"), None),
    ("CustomerInput", "DateOfBirth", None, Some("2024-04-16")),
    ("Customer", "DateOfBirth", None, Some("2024-04-16")),
    ("CustomerIdentity", "IssuingCountry", Some("ISO 3166-1 alpha-2 country code."), Some("US")),
    ("CustomerIdentity", "IssuedDate", None, Some("2024-04-16")),
    ("CustomerIdentity", "ExpiryDate", None, Some("2024-04-16")),
    ("CustomerIdentity", "IDType", Some(ID_TYPE), Some("Passport")),
    ("StreetAddress", "Street", Some("Street: the primary name of an address's street."), None),
    ("StreetAddress", "Street2", Some("Street2: the secondary name of an address's street."), None),
    ("StreetAddress", "City", Some("City: name of an address's city or town."), None),
    ("StreetAddress", "PostCode", Some("PostCode: the address's postcode"), None),
    ("StreetAddress", "State", Some(STATE), None),
    ("StreetAddress", "Country", Some("ISO 3166-1 alpha-2 country code."), Some("US")),
    // What the page says of these types.
    ("", "CountryCode", Some("ISO 3166-1 alpha-2 country code."), Some("US")),
    ("", "IDType", Some(ID_TYPE), Some("Passport")),
    ("", "Date", None, Some("2024-04-16")),
];

const ID_TYPE: &str = "Type of identification document: - DrivingLicense - NationalIDCard - Passport - AddressProof \
    - ResidencePermit - TaxID";

const STATE: &str = "State: the address's state / province / county. For USA and Canada, state code in ISO 3166-2 code \
    (e.g. CA) is required.";

/// A description in one line.
fn in_one_line(description: &Value) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_member_has_the_words_and_examples_of_the_page() {
    let schemas = &contract::document()["components"]["schemas"];
    for (schema, member, description, example) in WORDS {
        let value = if schema.is_empty() { &schemas[member] } else { &schemas[schema]["properties"][member] };
        let referred = value["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
        let referred =
            referred.map_or(&Value::Null, |pointer| contract::document().pointer(pointer).unwrap());
        if let Some(description) = description {
            assert_eq!(in_one_line(&value["description"]), description, "{schema}.{member}");
        }
        if let Some(example) = example {
            let examples = [value, referred].map(|value| &value["examples"][0]);
            assert!(examples.contains(&&Value::from(example)), "{schema}.{member}: {examples:?}");
        }
    }
    let put = &contract::document()["paths"]["/customers/{CustomerID}"]["put"];
    assert_eq!(put["summary"], "Put Customer");
    let description = put["description"].as_str().unwrap();
    assert!(
        description
            .starts_with("Creating a customer is required prior to other operations referring to CustomerID")
    );
    assert!(put["parameters"][1]["description"].as_str().unwrap().starts_with("Digitally signed JWT."));
    assert_eq!(put["responses"]["201"]["description"], "Customer created");
}

/// Every difference that has a meaning for a machine, by JSON pointer.
fn differences(written: &Value, made: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", &without_words(written, Keys::Keywords), &without_words(made, Keys::Keywords), &mut found);
    found
}

/// What the keys of an object are.
#[derive(Clone, Copy, PartialEq)]
enum Keys {
    /// Words of OpenAPI and JSON Schema.
    Keywords,
    /// Chosen by the author of the document.
    Names,
}

/// What only a reader needs.
const WORDS_AND_EXAMPLES: [&str; 4] = ["description", "summary", "example", "examples"];

/// The keywords whose values are objects with names.
const NAMED: [&str; 12] = [
    "paths",
    "webhooks",
    "responses",
    "headers",
    "content",
    "links",
    "schemas",
    "properties",
    "parameters",
    "callbacks",
    "requestBodies",
    "securitySchemes",
];

/// The document without what only a reader needs.
fn without_words(value: &Value, keys: Keys) -> Value {
    match value {
        Value::Object(members) => {
            let is_kept = |key: &str| keys == Keys::Names || !WORDS_AND_EXAMPLES.contains(&key);
            let kept = members.iter().filter(|(key, _)| is_kept(key));
            let below = |key: &str| {
                if keys == Keys::Keywords && NAMED.contains(&key) { Keys::Names } else { Keys::Keywords }
            };
            let by_name = |key: &str, value: &Value| match (keys, key, value) {
                (Keys::Keywords, "parameters", Value::Array(parameters)) => by_place_and_name(parameters),
                _ => value.clone(),
            };
            kept.map(|(key, value)| (key.clone(), without_words(&by_name(key, value), below(key)))).collect()
        }
        Value::Array(items) => items.iter().map(|item| without_words(item, Keys::Keywords)).collect(),
        _ => value.clone(),
    }
}

/// The order of parameters has no meaning: what tells them apart is where they stand, and their names.
fn by_place_and_name(parameters: &[Value]) -> Value {
    let key = |parameter: &Value| {
        format!("{} {}", parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap())
    };
    let named: Map<_, _> = parameters.iter().map(|parameter| (key(parameter), parameter.clone())).collect();
    assert_eq!(named.len(), parameters.len(), "no parameter is there twice");
    Value::Object(named)
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
