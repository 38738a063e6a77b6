//! A second opinion: the contract, read from the file without the service's own reader.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

pub(super) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| yaml_serde::from_str(include_str!("../../../openapi.yaml")).unwrap());

/// The schemas of bodies, by name.
pub(super) static BODIES: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let operations = DOCUMENT["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|item| item.as_object().unwrap().values());
    let bodies = operations.filter_map(|operation| operation.get("requestBody"));
    let schemas = bodies.map(|body| &body["content"]["application/json"]["schema"]);
    schemas
        .map(|schema| (schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap(), validator(schema)))
        .collect()
});

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// A validator of a schema that may refer to the contract's. Formats are asserted.
pub(super) fn validator(schema: &Value) -> Validator {
    let mut root = DOCUMENT.as_object().unwrap().clone();
    root.extend(schema.as_object().unwrap().clone());
    jsonschema::draft202012::options().should_validate_formats(true).build(&Value::Object(root)).unwrap()
}

/// The schema of an operation's parameter.
pub(super) fn parameter(operation: &str, name: &str) -> &'static Value {
    let operations = DOCUMENT["paths"].as_object().unwrap().values();
    let mut operations = operations.flat_map(|item| item.as_object().unwrap().values());
    let operation = operations.find(|found| found["operationId"] == operation).unwrap();
    let parameter = operation["parameters"].as_array().unwrap().iter().find(|found| found["name"] == name);
    &parameter.unwrap()["schema"]
}

/// What there is to say about a body.
#[derive(Debug)]
pub(super) struct Opinion {
    pub(super) is_json: bool,
    pub(super) has_duplicates: bool,
    /// Where the schema is broken, sorted; a place is named as often as it breaks a rule.
    pub(super) fields: Vec<String>,
}

impl Opinion {
    pub(super) fn of(schema: &str, body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Err(_) => Self { is_json: false, has_duplicates: false, fields: Vec::new() },
            Ok(value) => Self {
                is_json: true,
                // Of members with one name a value keeps one.
                has_duplicates: names(body) != members(&value),
                fields: fields(&BODIES[schema], &value),
            },
        }
    }

    pub(super) fn accepts(&self) -> bool {
        self.is_json && !self.has_duplicates && self.fields.is_empty()
    }
}

/// How many names of members a JSON text has: strings that a colon follows.
fn names(text: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < text.len() {
        if text[at] == b'"' {
            at += 1;
            while text[at] != b'"' {
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
            let next = text[at + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
            count += usize::from(next == Some(&b':'));
        }
        at += 1;
    }
    count
}

/// How many members the objects of a value have.
pub(super) fn members(value: &Value) -> usize {
    match value {
        Value::Object(members_) => members_.len() + members_.values().map(members).sum::<usize>(),
        Value::Array(items) => items.iter().map(members).sum(),
        _ => 0,
    }
}

/// Where a value breaks a schema.
pub(super) fn fields(validator: &Validator, value: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    for error in validator.iter_errors(value) {
        let path = steps(value, &error.instance_path().to_string());
        let member = |name: &str| field(&[&path[..], &[Step::Member(name.to_owned())]].concat());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                fields.extend(unexpected.iter().map(|name| member(name)));
            }
            ValidationErrorKind::Required { property } => fields.push(member(property.as_str().unwrap())),
            _ => fields.push(field(&path)),
        }
    }
    fields.sort();
    fields
}

fn steps(value: &Value, pointer: &str) -> Vec<Step> {
    let (mut value, mut steps) = (value, Vec::new());
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        if let Value::Array(items) = value {
            let index: usize = name.parse().unwrap();
            value = &items[index];
            steps.push(Step::Item(index));
        } else {
            value = &value[&name];
            steps.push(Step::Member(name));
        }
    }
    steps
}

/// A path as an answer names it. A name that might hold personal data is a question mark.
pub(super) fn field(path: &[Step]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-$".contains(c);
    let text: String = path
        .iter()
        .map(|step| match step {
            Step::Item(index) => format!("[{index}]"),
            Step::Member(name) if !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain) => {
                format!(".{name}")
            }
            Step::Member(_) => ".?".to_owned(),
        })
        .collect();
    text.strip_prefix('.').unwrap_or(&text).to_owned()
}

/// The schema that a reference leads to; only words may stand beside one.
pub(super) fn resolve(schema: &'static Value) -> &'static Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    for keyword in schema.as_object().unwrap().keys() {
        assert!(
            ["$ref", "default", "description"].contains(&keyword.as_str()),
            "{keyword} beside {reference}"
        );
    }
    resolve(DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap())
}

/// A rule of the form "if a member is this, then others are those".
pub(super) struct Rule {
    decisive: (&'static String, &'static Value),
    pub(super) then: &'static Map<String, Value>,
}

impl Rule {
    pub(super) fn decides_by(&self, name: &str) -> bool {
        self.decisive.0 == name
    }

    pub(super) fn applies_if(&self, value: Option<&Value>) -> bool {
        value == Some(self.decisive.1)
    }

    pub(super) fn applies_to(&self, object: &Map<String, Value>) -> bool {
        self.applies_if(object.get(self.decisive.0))
    }

    /// What the decisive member must be.
    pub(super) fn condition(&self) -> (&'static String, &'static Value) {
        self.decisive
    }
}

/// The rules that tie an object's members together.
pub(super) fn rules(schema: &'static Value) -> Vec<Rule> {
    let rule = |rule: &'static Value| {
        let members = rule["if"]["properties"].as_object().unwrap();
        let (name, condition) = members.iter().next().unwrap();
        assert_eq!(
            (members.len(), &rule["if"]["required"]),
            (1, &json!([name])),
            "teach the tests this rule"
        );
        let then = rule["then"]["properties"].as_object().unwrap();
        Rule { decisive: (name, &condition["const"]), then }
    };
    schema["allOf"].as_array().into_iter().flatten().map(rule).collect()
}
