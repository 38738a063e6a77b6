use jsonschema::Validator;
use serde_json::{Value, json};

/// Compiles a schema with the whole document, because it refers to other schemas.
#[allow(
    clippy::expect_used,
    reason = "the contract is part of the binary, and a test compiles every schema of it"
)]
pub(super) fn compile(document: &Value, pointer: &str) -> Validator {
    let mut root = document.clone();
    root["$ref"] = json!(format!("#{}", pointer.replace('{', "%7B").replace('}', "%7D")));
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&root)
        .expect("the schema compiles")
}
