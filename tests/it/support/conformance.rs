//! Holds an answer against the contract, before a test sees it.

use customers_api::contract;
use serde_json::{Value, json};

use super::Answer;

/// What every HTTP answer may have, whatever the contract says: framing, and what the status demands of a path or
/// method that is none of the contract's.
const FRAMING: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

pub(super) fn check(method: &str, path: &str, answer: &Answer) {
    let status = answer.status.as_u16().to_string();
    match operation(method, path) {
        Some(pointer) => check_documented(&pointer, &status, answer),
        None => check_undocumented(method, &status, answer),
    }
}

/// Holds a request of the webhook against the contract: the values of its headers by their names, and its body.
pub(crate) fn check_webhook(header: impl Fn(&str) -> Option<String>, body: &Value) {
    let webhook = resolve("/webhooks/customerEvent/post");
    for parameter in webhook["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        check_header(name, parameter, &header(name).unwrap_or_else(|| panic!("the webhook has {name}")));
    }
    check_valid(&webhook["requestBody"]["content"]["application/json"]["schema"], body);
    assert_eq!(body["EventID"], json!(header("webhook-id")), "the id names the event");
}

/// The JSON pointer of the operation that a request asks for.
fn operation(method: &str, path: &str) -> Option<String> {
    let fits =
        |(part, segment): (&str, &str)| part == segment || (part.starts_with('{') && !segment.is_empty());
    let mut templates = contract::document()["paths"].as_object().unwrap().keys();
    let template = templates.find(|template| {
        let parts = template.split('/');
        parts.clone().count() == path.split('/').count() && parts.zip(path.split('/')).all(fits)
    })?;
    let pointer = format!("/paths/{}/{}", template.replace('/', "~1"), method.to_lowercase());
    contract::document().pointer(&pointer).map(|_| pointer)
}

fn check_documented(pointer: &str, status: &str, answer: &Answer) {
    let response = resolve(&format!("{pointer}/responses/{status}"));
    assert!(!response.is_null(), "{pointer} documents the status {status}");
    let documented = response["headers"].as_object().unwrap();
    for (name, header) in documented {
        let header = dereference(header);
        let value = answer.headers.get(name.as_str());
        assert!(value.is_some() || header["required"] != true, "{pointer} {status} has the header {name}");
        if let Some(value) = value {
            check_header(name, header, value.to_str().unwrap());
        }
    }
    for name in
        answer.headers.keys().map(ToString::to_string).filter(|name| !FRAMING.contains(&name.as_str()))
    {
        let is_documented = documented.keys().any(|documented| documented.eq_ignore_ascii_case(&name));
        assert!(is_documented, "{pointer} {status} documents the header {name}");
    }
    match response["content"].as_object() {
        None => assert!(answer.body.is_empty(), "{pointer} {status} has no content"),
        Some(content) => {
            check_body(&content[answer.header("content-type")]["schema"], answer);
        }
    }
}

fn check_undocumented(method: &str, status: &str, answer: &Answer) {
    assert!(answer.headers.contains_key("x-request-id"), "every answer has a request id");
    if method == "HEAD" {
        assert!(answer.body.is_empty(), "HEAD has no content");
        return;
    }
    if answer.status.is_client_error() || answer.status.is_server_error() {
        assert_eq!(answer.header("content-type"), "application/json", "{status}");
        check_body(&json!({ "$ref": "#/components/schemas/Error" }), answer);
    }
}

fn check_header(name: &str, header: &Value, text: &str) {
    let mut schema = header["schema"].clone();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    let value = if schema["type"] == "integer" { json!(text.parse::<i64>().unwrap()) } else { json!(text) };
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    assert!(validator.is_valid(&value), "the header {name} is as documented");
}

fn check_body(schema: &Value, answer: &Answer) {
    let body = answer.json();
    check_valid(schema, &body);
    if let Some(instance) = body.get("Instance") {
        assert_eq!(instance, answer.header("x-request-id"), "the error names the request");
    }
}

fn check_valid(schema: &Value, body: &Value) {
    let validator = validator(schema["$ref"].as_str().unwrap());
    let errors: Vec<_> = validator.iter_errors(body).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{schema}: {errors:?}");
}

/// A validator of a schema of the contract, such as `#/components/schemas/Customer`. Formats are asserted.
pub(crate) fn validator(reference: &str) -> jsonschema::Validator {
    let mut schema = contract::document().clone();
    schema["$ref"] = json!(reference);
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

fn resolve(pointer: &str) -> &'static Value {
    contract::document().pointer(pointer).map_or(&Value::Null, dereference)
}

fn dereference(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => contract::document().pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}
