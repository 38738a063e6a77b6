//! The contract in OpenAPI 3.0 accepts what the contract accepts.

use std::{cell::Cell, collections::BTreeSet, sync::LazyLock};

use customers_api::contract::{self, LostMeaning, to_openapi_3_0};
use jsonschema::Validator;
use proptest::prop_assert_eq;
use serde_json::{Map, Value, json};

use super::{
    bodies::bodies,
    hold,
    oracle::{BODIES, DOCUMENT, validator},
};

static OLDER: LazyLock<Value> = LazyLock::new(|| as_json_schema(contract::document_3_0()));

/// The schemas of OpenAPI 3.0 in a draft of JSON Schema that also passes over what stands beside a reference.
fn as_json_schema(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return match value {
            Value::Array(items) => items.iter().map(as_json_schema).collect(),
            plain => plain.clone(),
        };
    };
    let mut members: Map<_, _> =
        members.iter().map(|(name, value)| (name.clone(), as_json_schema(value))).collect();
    if members.remove("nullable") == Some(json!(true)) {
        members["type"] = json!([members["type"], "null"]);
    }
    for (keyword, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if members.get(keyword) == Some(&json!(true)) {
            let bound = members.remove(bound).unwrap();
            members.insert(keyword.to_owned(), bound);
        }
    }
    members.into()
}

/// A validator of a schema beside the components of a document.
fn older_validator(document: &Value, schema: &Value) -> Validator {
    static UUID: LazyLock<Validator> = LazyLock::new(|| validator(&json!({ "format": "uuid" })));
    jsonschema::draft7::options()
        .should_validate_formats(true)
        .with_format("uuid", |text: &str| UUID.is_valid(&json!(text)))
        .build(&json!({ "components": document["components"], "allOf": [schema] }))
        .unwrap()
}

#[test]
fn both_versions_say_the_same_of_bodies() {
    for (name, newer) in BODIES.iter() {
        let older = older_validator(&OLDER, &json!({ "$ref": format!("#/components/schemas/{name}") }));
        let (accepted, refused) = (Cell::new(0), Cell::new(0));
        hold(3000, &bodies(name), |made| {
            let Ok(body) = serde_json::from_slice::<Value>(&made.bytes) else { return Ok(()) };
            let is_valid = newer.is_valid(&body);
            prop_assert_eq!(older.is_valid(&body), is_valid);
            let count = if is_valid { &accepted } else { &refused };
            count.set(count.get() + 1);
            Ok(())
        });
        let (accepted, refused) = (accepted.get(), refused.get());
        println!("{name}: {accepted} accepted by both, {refused} refused by both");
        assert!(accepted > 50 && refused > 50, "both kinds of body are tried");
    }
}

/// Where a document has schemas outside of others.
fn schemas(value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => return,
    };
    for (name, value) in members {
        let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        if name == "schema" || pointer == "/components/schemas" {
            found.insert(below);
        } else {
            schemas(value, &below, found);
        }
    }
}

/// Every example of the contract, each with one part of it left out or made another, and what is rarely meant.
fn pool() -> Vec<Value> {
    fn collect(value: &Value, found: &mut Vec<Value>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("example" | "value", value) => found.push(value.clone()),
                        ("examples", Value::Array(examples)) => found.extend(examples.iter().cloned()),
                        ("enum", Value::Array(options)) => found.extend(options.iter().cloned()),
                        _ => {}
                    }
                    collect(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let strange =
        [json!(null), json!(""), json!(0), json!(-1), json!(1.5), json!([]), json!({}), json!(false)];
    let mut pool = strange.to_vec();
    collect(&DOCUMENT, &mut pool);
    for example in pool.clone() {
        let mut pointers = BTreeSet::new();
        places(&example, "", &mut pointers);
        for pointer in pointers {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let mut shorter = example.clone();
            match shorter.pointer_mut(parent).unwrap() {
                Value::Object(members) => drop(members.remove(name)),
                Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                _ => {}
            }
            pool.push(shorter);
            for other in strange.iter().chain([&json!("x".repeat(300)), &json!("US"), &json!({ "a": 1 })]) {
                let mut changed = example.clone();
                *changed.pointer_mut(&pointer).unwrap() = other.clone();
                pool.push(changed);
            }
        }
    }
    pool
}

fn places(value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    let mut visit = |name: &str, value| {
        let below = format!("{pointer}/{name}");
        places(value, &below, found);
        found.insert(below);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| visit(name, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| visit(&index.to_string(), value));
        }
        _ => {}
    }
}

#[test]
fn both_versions_say_the_same_of_what_any_schema_may_meet() {
    let (mut newer_places, mut older_places) = (BTreeSet::new(), BTreeSet::new());
    schemas(&DOCUMENT, "", &mut newer_places);
    schemas(&OLDER, "", &mut older_places);
    assert!(newer_places.len() > 30, "{newer_places:?}");
    // OpenAPI 3.0 has no webhooks; tools read them under a name of their own.
    let renamed = |place: &String| match place.strip_prefix("/webhooks/") {
        Some(rest) => format!("/x-webhooks/{rest}"),
        None => place.clone(),
    };
    assert_eq!(newer_places.iter().map(renamed).collect::<BTreeSet<_>>(), older_places);
    let pool = pool();
    let (mut accepted, mut refused) = (0, 0);
    for place in newer_places {
        let newer = validator(DOCUMENT.pointer(&place).unwrap());
        let older = older_validator(&OLDER, OLDER.pointer(&renamed(&place)).unwrap());
        for value in &pool {
            let is_valid = newer.is_valid(value);
            assert_eq!(older.is_valid(value), is_valid, "{place}: {value}");
            if is_valid { accepted += 1 } else { refused += 1 }
        }
    }
    println!("{accepted} accepted by both, {refused} refused by both");
    assert!(accepted > 1000 && refused > 1000);
}

/// The schema of a document with this one alone.
fn older(schema: &Value) -> Result<Value, LostMeaning> {
    let document = json!({ "openapi": "3.1.0", "components": { "schemas": { "It": schema } } });
    Ok(to_openapi_3_0(&document)?["components"]["schemas"]["It"].clone())
}

#[test]
fn a_schema_becomes_another_that_accepts_the_same() {
    let us = json!({ "properties": { "a": { "const": "US" } }, "required": ["a"] });
    let short = json!({ "properties": { "b": { "maxLength": 2 } } });
    let long = json!({ "properties": { "b": { "minLength": 2 } }, "required": ["b"] });
    let values = [
        json!(null),
        json!("US"),
        json!("U"),
        json!(""),
        json!(0),
        json!(1),
        json!(5),
        json!(5.5),
        json!(10),
        json!([]),
        json!([1]),
        json!(["US"]),
        json!({}),
        json!({ "a": "US" }),
        json!({ "a": "US", "b": "" }),
        json!({ "a": "US", "b": "xx" }),
        json!({ "a": "US", "b": "xxx" }),
        json!({ "a": "CA", "b": "xxx" }),
        json!({ "b": "x" }),
        json!({ "b": "xxx" }),
        json!({ "c": null }),
        json!(true),
    ];
    for schema in [
        json!(true),
        json!(false),
        json!({ "type": ["string", "null"] }),
        json!({ "type": ["null", "string"], "maxLength": 1 }),
        json!({ "type": "array" }),
        json!({ "type": "array", "items": true, "maxItems": 0 }),
        json!({ "type": "array", "items": { "type": ["string", "null"] } }),
        json!({ "const": "US" }),
        json!({ "const": { "a": "US" } }),
        json!({ "exclusiveMinimum": 5, "exclusiveMaximum": 10 }),
        json!({ "type": "object", "properties": { "c": { "type": ["string", "null"] } } }),
        json!({ "additionalProperties": { "const": "US" } }),
        json!({ "not": { "const": "US" } }),
        json!({ "if": us, "then": short }),
        json!({ "if": us, "else": short }),
        json!({ "if": us, "then": short, "else": long }),
        json!({ "if": us }),
        json!({ "then": long }),
        json!({ "if": { "not": us }, "then": long }),
        json!({ "not": { "type": "array" }, "if": us, "then": long }),
        json!({ "allOf": [{ "if": us, "then": short }, { "if": us, "then": long }, { "minProperties": 1 }] }),
        json!({ "allOf": [{ "type": "object", "if": us, "then": long }] }),
        json!({ "anyOf": [{ "if": us, "then": long }, { "type": "null" , "$comment": "never" }] }),
        json!({ "oneOf": [{ "const": "US" }, { "maxLength": 2 }] }),
    ] {
        // `null` by itself has no type in 3.0.
        let Ok(converted) = older(&schema) else {
            assert!(schema.to_string().contains(r#"{"$comment":"never","type":"null"}"#), "{schema}");
            continue;
        };
        let newer = jsonschema::draft202012::new(&schema).unwrap();
        let older = older_validator(&json!({}), &as_json_schema(&converted));
        for value in &values {
            assert_eq!(older.is_valid(value), newer.is_valid(value), "{schema} became {converted}: {value}");
        }
    }
}

#[test]
fn what_stands_beside_a_reference_counts_in_both() {
    let referring = json!({ "$ref": "#/components/schemas/It", "maxLength": 2, "description": "short" });
    let document = json!({ "components": { "schemas": { "It": { "type": "string" }, "Short": referring } } });
    let converted = to_openapi_3_0(&document).unwrap();
    let older = older_validator(&converted, &json!({ "$ref": "#/components/schemas/Short" }));
    for (value, is_valid) in [(json!("ab"), true), (json!("abc"), false), (json!(1), false)] {
        assert_eq!(older.is_valid(&value), is_valid, "{value}");
    }
    assert_eq!(converted["components"]["schemas"]["Short"]["description"], "short");
}

#[test]
fn what_openapi_3_0_cannot_say_is_an_error_that_names_the_place() {
    for (schema, pointer) in [
        (json!({ "type": ["string", "integer"] }), "/type"),
        (json!({ "type": "null" }), "/type"),
        (json!({ "properties": { "a/b": { "type": [] } } }), "/properties/a~1b/type"),
        (json!({ "items": { "patternProperties": {} } }), "/items/patternProperties"),
        (json!({ "prefixItems": [] }), "/prefixItems"),
        (json!({ "contains": {} }), "/contains"),
        (json!({ "unevaluatedProperties": false }), "/unevaluatedProperties"),
        (json!({ "dependentRequired": {} }), "/dependentRequired"),
        (json!({ "propertyNames": {} }), "/propertyNames"),
        (json!({ "$dynamicRef": "#it" }), "/$dynamicRef"),
        (json!({ "$defs": {} }), "/$defs"),
        (json!({ "contentEncoding": "base64" }), "/contentEncoding"),
        (json!({ "const": 1, "enum": [1, 2] }), "/const"),
        (json!({ "minimum": 1, "exclusiveMinimum": 1 }), "/exclusiveMinimum"),
        (json!({ "allOf": [{}, { "if": {}, "then": { "minContains": 1 } }] }), "/allOf/1/then/minContains"),
        (json!({ "nullable": true }), "/nullable"),
        (json!({ "a word": 1 }), "/a word"),
        (json!(1), ""),
    ] {
        let pointer = format!("/components/schemas/It{pointer}");
        assert_eq!(older(&schema), Err(LostMeaning { pointer }), "{schema}");
    }
    for (document, pointer) in [
        (json!({ "jsonSchemaDialect": "x" }), "/jsonSchemaDialect"),
        (json!({ "info": { "summary": "x" } }), "/info/summary"),
        (json!({ "info": { "license": { "name": "a", "identifier": "b" } } }), "/info/license/identifier"),
        (json!({ "components": { "pathItems": {} } }), "/components/pathItems"),
        (
            json!({ "paths": { "/a": { "get": { "responses": { "200": { "$ref": "#/x", "description": "x" } } } } } }),
            "/paths/~1a/get/responses/200/$ref",
        ),
        (json!({ "paths": { "/a": { "query": {} } } }), "/paths/~1a/query"),
    ] {
        let error = to_openapi_3_0(&document).unwrap_err();
        assert_eq!(error.pointer, pointer);
        assert_eq!(error.to_string(), format!("OpenAPI 3.0 cannot say what is at {pointer}"));
    }
}

#[test]
fn webhooks_get_the_name_under_which_tools_read_them_in_3_0() {
    let document = json!({ "webhooks": { "it": { "post": { "operationId": "it" } } } });
    let converted = to_openapi_3_0(&document).unwrap();
    assert_eq!(converted["x-webhooks"], document["webhooks"]);
    assert_eq!(converted.get("webhooks"), None);
    let (ours, converted) = (contract::document(), contract::document_3_0());
    let names = |webhooks: &Value| webhooks.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&converted["x-webhooks"]), names(&ours["webhooks"]));
    assert_eq!(converted.get("webhooks"), None);
}
