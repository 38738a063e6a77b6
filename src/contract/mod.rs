//! `openapi.yaml`, embedded: it is served as it is, and it explains everything that is wrong with a document.
//!
//! The models decide whether a request is accepted, because they are fast. If they refuse it, the contract explains
//! why. The tests prove that both decide alike.

mod compile;
mod explain;
mod json;
mod openapi_3_0;
mod shape;

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use serde_json::{Value, json};

pub use explain::{Segment, field_of};
pub use openapi_3_0::{LostMeaning, to_openapi_3_0};

use self::{compile::Compiler, shape::Shape};
use crate::model::{RequestExtensionItem, VIOLATIONS_MAX};

/// The contract as it is written, byte for byte.
pub const YAML: &str = include_str!("../../openapi.yaml");

/// What the contract says of the server's address: the root of whichever host has the document.
const SERVER_URL: &str = "- url: /\n";

/// Read when it is needed first, which takes some milliseconds: a service whose callers make no mistakes never needs it.
static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::load);

struct Contract {
    document: Value,
    /// The schemas of bodies, by name.
    bodies: HashMap<String, Schema>,
    /// The parameters of operations, by where they stand, the operation and their name.
    parameters: HashMap<String, Parameter>,
}

struct Schema {
    shape: Shape,
    validator: jsonschema::Validator,
}

struct Parameter {
    is_integer: bool,
    validator: jsonschema::Validator,
}

/// The violations of the schema of this name by a body, in the order of the contract: all of them, or the first ones if
/// there are more than [`VIOLATIONS_MAX`], and then at least one more than that. Empty if no operation has such a body.
pub fn explain(schema: &str, body: &[u8]) -> Vec<RequestExtensionItem> {
    let Some(Schema { shape, validator }) = CONTRACT.bodies.get(schema) else { return Vec::new() };
    match json::parse(body, shape) {
        Ok(json::Parsed { value, duplicates }) => {
            let duplicates = duplicates.into_iter().map(explain::duplicate);
            let violations = explain::violations("", &CONTRACT.document, validator, &value);
            duplicates.chain(violations).take(VIOLATIONS_MAX + 1).collect()
        }
        Err(error) => vec![explain::malformed(body, &error)],
    }
}

/// Every violation by the text of a parameter. `location` is `path`, `query` or `header`.
pub fn explain_parameter(
    location: &str,
    operation: &str,
    name: &str,
    text: &str,
) -> Vec<RequestExtensionItem> {
    let parameter = CONTRACT.parameters.get(&format!("{location} {operation} {name}"));
    let Some(parameter) = parameter else { return Vec::new() };
    let value = match text.parse::<i64>() {
        Ok(number) if parameter.is_integer && number.to_string() == text => json!(number),
        _ => json!(text),
    };
    explain::violations(name, &CONTRACT.document, &parameter.validator, &value).collect()
}

/// The contract as a document.
pub fn document() -> &'static Value {
    &CONTRACT.document
}

/// The contract in OpenAPI 3.0.
#[allow(clippy::expect_used, reason = "the contract is part of the binary, and a test converts it")]
pub fn document_3_0() -> &'static Value {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| to_openapi_3_0(document()).expect("OpenAPI 3.0 can say what the contract says"));
    &DOCUMENT
}

/// The contract as it is written, for a service below this path, such as `/api/v1`; empty is the root.
pub fn yaml_at(base_path: &str) -> Cow<'static, str> {
    match base_path {
        "" => Cow::Borrowed(YAML),
        _ => Cow::Owned(YAML.replacen(SERVER_URL, &format!("- url: {base_path}\n"), 1)),
    }
}

/// A form of the contract as JSON, for a service below this path.
pub fn json_at(base_path: &str, document: &Value) -> String {
    let mut document = document.clone();
    if !base_path.is_empty() {
        document["servers"][0]["url"] = json!(base_path);
    }
    document.to_string()
}

impl Contract {
    #[allow(clippy::expect_used, reason = "the contract is part of the binary, and the tests read it")]
    fn load() -> Self {
        let document: Value = yaml_serde::from_str(YAML).expect("the contract is YAML");
        let compiler = Compiler::new(&document);
        let (bodies, parameters) = (bodies(&compiler), parameters(&compiler));
        drop(compiler);
        Self { document, bodies, parameters }
    }
}

impl Schema {
    fn load(compiler: &Compiler<'_>, pointer: &str) -> Self {
        Self { shape: Shape::of(compiler, pointer), validator: compiler.compile(pointer) }
    }
}

fn bodies(compiler: &Compiler<'_>) -> HashMap<String, Schema> {
    let operations = members(&compiler.document["paths"]).flat_map(|(_, item)| members(item));
    let contents = operations.flat_map(|(_, operation)| members(&operation["requestBody"]["content"]));
    let references = contents.filter_map(|(_, content)| content["schema"]["$ref"].as_str());
    let load = |reference: &str| {
        let pointer = reference.trim_start_matches('#');
        let name = pointer.rsplit('/').next().unwrap_or_default();
        (name.to_owned(), Schema::load(compiler, pointer))
    };
    references.map(load).collect()
}

fn parameters(compiler: &Compiler<'_>) -> HashMap<String, Parameter> {
    let mut found = HashMap::new();
    for (path, item) in members(&compiler.document["paths"]) {
        for (method, operation) in members(item) {
            let parameters = operation["parameters"].as_array();
            for (index, parameter) in parameters.into_iter().flatten().enumerate() {
                let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
                let key =
                    [&parameter["in"], &operation["operationId"], &parameter["name"]].map(text).join(" ");
                let escaped = path.replace('~', "~0").replace('/', "~1");
                let validator =
                    compiler.compile(&format!("/paths/{escaped}/{method}/parameters/{index}/schema"));
                let is_integer = parameter["schema"]["type"] == "integer";
                found.insert(key, Parameter { is_integer, validator });
            }
        }
    }
    found
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
